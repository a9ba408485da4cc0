// Recomputation is not arithmetic: losses, loads and every gradient are those of a run that keeps everything, to the
// bit; and it keeps less.
#include <gtest/gtest.h>

#include "support/random_model.h"
#include "train/objective.h"
#include "train/optimizer.h"

namespace hadal {
namespace {

using nn::Recompute;

model::Config v2_of(test::Random& random) {
  model::Config c = test::small_v3(random);
  c.family = model::Family::deepseek_v2;
  c.topk_method = model::TopkMethod::group_limited_greedy;
  c.scoring_func = model::Scoring::softmax;
  c.norm_topk_prob = false;
  c.num_nextn_predict_layers = 0;
  return c;
}

model::Config dense_of(test::Random& random, model::Family family) {
  model::Config c;
  c.family = family;
  c.vocab_size = 97;
  c.hidden_size = 8 * test::between(random, 4, 9);
  c.num_hidden_layers = 2;
  c.num_attention_heads = 4;
  c.num_key_value_heads = 2;
  c.head_dim = 2 * test::between(random, 4, 12);
  c.attention_bias = family == model::Family::qwen2;
  c.tie_word_embeddings = family == model::Family::qwen2;
  c.intermediate_size = test::between(random, 20, 70);
  c.max_position_embeddings = 512;
  return c;
}

struct Run {
  train::ObjectiveResult result;
  std::vector<Tensor> gradients;
  std::size_t peak = 0;  // bytes of tensors above those before the forward
};

Run run_with(const kernels::Context& cx, model::CausalLm& model, const train::TrainRows& rows, Recompute recompute) {
  train::Optimizer optimizer(model, {});
  train::ObjectiveSettings s{.mtp_lambda = 0.3,
                             .balance_alpha = 1e-2,
                             .global_tokens = rows.loss_tokens(),
                             .global_rows = static_cast<std::int64_t>(rows.tokens.size()),
                             .recompute = recompute};
  Run run;
  reset_tensor_peak();
  const std::size_t before = tensor_memory().live;
  {
    autograd::Tape tape(cx);
    const train::Watch watch(tape, optimizer);
    run.result = train::run_objective(cx, model, rows, s);
  }
  run.peak = tensor_memory().peak - before;
  for (const train::TrainedParameter& p : optimizer.parameters()) run.gradients.push_back(p.grad);
  return run;
}

void expect_equal(const Run& got, const Run& expected) {
  EXPECT_EQ(got.result.main, expected.result.main);
  EXPECT_EQ(got.result.mtp, expected.result.mtp);
  EXPECT_EQ(got.result.balance, expected.result.balance);
  EXPECT_EQ(got.result.loads_LE, expected.result.loads_LE);
  ASSERT_EQ(got.gradients.size(), expected.gradients.size());
  for (std::size_t i = 0; i < got.gradients.size(); ++i)
    EXPECT_TRUE(test::same_bits(got.gradients[i], expected.gradients[i])) << "gradient " << i;
}

void check(const model::Config& config, DType act, test::Random& random) {
  ThreadPool pool(2);
  const kernels::Context cx(pool, kernels::default_isa());
  model::CausalLm model(config, act);
  test::randomise(model, random);
  train::TrainRows rows;
  for (int r = 0; r < 3; ++r) rows.tokens.push_back(test::random_tokens(random, 150, config.vocab_size));
  rows.documents = {{0, 70}, {0}, {0, 1, 149}};
  const Run none = run_with(cx, model, rows, Recompute::none);
  const Run selective = run_with(cx, model, rows, Recompute::selective);
  const Run blocks = run_with(cx, model, rows, Recompute::blocks);
  double size = 0;
  for (const Tensor& g : none.gradients)
    for (const float v : g.span<float>()) size += std::abs(v);
  EXPECT_GT(size, 0.1) << "no gradient to compare";
  expect_equal(selective, none);
  expect_equal(blocks, none);
  EXPECT_LT(selective.peak, none.peak);
  EXPECT_LT(blocks.peak, selective.peak);
}

TEST(Recompute, SameBitsInEveryFamily) {
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    for (const DType act : {DType::f32, DType::bf16, DType::f8_e4m3}) {
      test::Random random(seed);
      SCOPED_TRACE(fmt::format("seed {} {}", seed, name_of(act)));
      model::Config v3 = test::small_v3(random);
      v3.num_nextn_predict_layers = 2;
      v3.mtp_hidden = seed % 2 == 0 ? model::MtpHidden::pre_norm : model::MtpHidden::post_norm;
      check(v3, act, random);
      check(v2_of(random), act, random);
      check(dense_of(random, model::Family::qwen2), act, random);
      check(dense_of(random, model::Family::llama), act, random);
    }
  }
}

TEST(Recompute, ForgottenValueIsMadeAgainWhereItIsNeeded) {
  ThreadPool pool(1);
  const kernels::Context cx(pool, kernels::Isa::ref);
  autograd::Tape tape(cx);
  Tensor x = Tensor::of<float>(std::vector<float>{1, 2}, {2});
  tape.input(x);
  int made = 0;
  const auto twice = [&] {
    ++made;
    Tensor y = x.clone();
    for (float& v : y.span<float>()) v *= 2;
    return y;
  };
  Tensor y = twice();
  tape.record(y, [x](const Tensor& grad) { autograd::accumulate(x, grad); });
  Tensor z = y.clone();
  tape.record(z, [y](const Tensor& grad) {
    Tensor dy = grad.clone();
    for (std::int64_t i = 0; i < 2; ++i) dy.data<float>()[i] *= y.data<float>()[i];  // reads the value
    autograd::accumulate(y, dy);
  });
  const std::size_t live = tensor_memory().live;
  autograd::forget(y, twice);
  EXPECT_LT(tensor_memory().live, live);
  EXPECT_EQ(y.raw(), nullptr);
  EXPECT_EQ(made, 1);
  tape.backward({z}, {Tensor::of<float>(std::vector<float>{1, 1}, {2})});
  EXPECT_EQ(made, 2);
  EXPECT_EQ(y.data<float>()[1], 4);
  EXPECT_EQ(x.node()->grad.data<float>()[0], 2);
  EXPECT_EQ(x.node()->grad.data<float>()[1], 4);
  EXPECT_EQ(tape.size(), 0u);
}

}  // namespace
}  // namespace hadal
