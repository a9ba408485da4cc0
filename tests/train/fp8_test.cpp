// Training in fp8: which linears are quantised, that a run resumes to the bit and learns as in bf16, and that its
// checkpoint is an ordinary one.
#include <gtest/gtest.h>

#include "kernels/profile.h"
#include "model/load.h"
#include "small_run.h"
#include "train/objective.h"

namespace hadal::train {
namespace {

using test::TempFolder;

TEST(Fp8Training, EmbeddingHeadGateAndEhProjAreNotQuantised) {
  ThreadPool pool(2);
  kernels::Context cx(pool, kernels::default_isa());
  const model::Config config = small_config();
  model::CausalLm model(config, DType::f8_e4m3);
  test::Random random(1);
  test::randomise(model, random);
  EXPECT_EQ(model.act(), DType::bf16);
  model.visit([](const nn::Parameter& p) {
    const bool bf16 = p.kind == nn::ParameterKind::embedding || p.name.ends_with("eh_proj.weight");
    EXPECT_EQ(p.value->dtype(), bf16 ? DType::bf16 : DType::f32) << p.name;
  });
  Optimizer optimizer(model, {});
  TrainRows rows;
  rows.tokens.push_back(test::random_tokens(random, 50, config.vocab_size));
  kernels::Profile profile;
  cx.set_profile(&profile);
  {
    autograd::Tape tape(cx);
    const Watch watch(tape, optimizer);
    run_objective(cx, model, rows, {.mtp_lambda = 0.3, .global_tokens = 49, .global_rows = 1});
  }
  cx.set_profile(nullptr);
  const auto calls = [&](std::string_view name) {
    const auto found = profile.entries().find(name);
    return found == profile.entries().end() ? 0L : found->second.calls;
  };
  // Blocks: one dense, two MoE, one of the MTP module. Attention has wq (one or two), wkv_a, wkv_b, wo; a dense part
  // has w1, w3, w2; a MoE part three stacks and the shared expert's three.
  const long blocks = config.num_hidden_layers + 1, moe = blocks - 1;
  const long linears = blocks * (config.q_lora_rank > 0 ? 5 : 4) + 3 + moe * 6;
  EXPECT_EQ(calls("fp8_matmul"), 2 * linears);  // forward and input gradient
  EXPECT_EQ(calls("fp8_weight_grad"), linears);
  EXPECT_EQ(calls("round_e5m6"), blocks);
  EXPECT_EQ(calls("grouped matmul"), 0);
  EXPECT_EQ(calls("grouped matmul, weight gradient"), 0);
  // Gates, eh_proj, and the head twice, each of whose gradients comes with the loss.
  EXPECT_EQ(calls("matmul"), moe + 1 + 2);
}

std::string tokens(std::int64_t rows) { return fmt::format("train.tokens={}", rows * kRowTokens); }

TEST(Fp8Training, ResumesToTheBit) {
  const TempFolder folder;
  const std::vector<std::string> recipe = {"model.dtype=fp8", tokens(32), "train.rows=4", "train.micro_rows=2",
                                           "optimizer.moments=bf16"};
  SmallRun calm(recipe);
  const TrainerOutcome whole = calm.train_in(folder / "calm");
  ASSERT_TRUE(whole.finished);
  // Stopped after every step, on one thread and three by turns.
  for (int leg = 0; leg < 20; ++leg) {
    SmallRun run(recipe, leg % 2 == 0 ? 1 : 3);
    std::atomic<bool> stop{false};
    run.stop = &stop;
    run.on_step = [&](const StepMetrics&) { stop = true; };
    if (run.train_in(folder / "stormy").finished) break;
  }
  expect_same_tensors(checkpoint_dir(folder / "calm", whole.step), checkpoint_dir(folder / "stormy", whole.step));
}

// Rows in which a token says which one follows: a tenth of the loss is left after some steps.
class CountingRows : public RowSource {
 public:
  SourceRow next() override {
    test::Random random(static_cast<std::uint64_t>(row_++));
    std::vector<std::int32_t> tokens = {static_cast<std::int32_t>(test::between(random, 0, 96))};
    while (static_cast<std::int64_t>(tokens.size()) <= kRowTokens) tokens.push_back((tokens.back() * 5 + 3) % 97);
    return {tokens, {0}};
  }
  std::string state() const override { return std::to_string(row_); }
  void restore(const std::string& state) override { row_ = std::stoll(state); }

 private:
  std::int64_t row_ = 0;
};

TEST(Fp8Training, LearnsAsInBf16AndLeavesAnOrdinaryCheckpoint) {
  const TempFolder folder;
  const auto train_in = [&](const std::string& dtype) {
    SmallRun run({"model.dtype=" + dtype, tokens(8 * 100), "train.rows=8"});
    CountingRows rows;
    run.source = &rows;
    EXPECT_TRUE(run.train_in(folder / dtype).finished);
    return run.steps;
  };
  const std::vector<StepMetrics> bf16 = train_in("bf16"), fp8 = train_in("fp8");
  ASSERT_EQ(bf16.size(), fp8.size());
  const double start = bf16.front().lm_loss;
  double mean_bf16 = 0, mean_fp8 = 0, apart = 0;
  for (std::size_t i = bf16.size() - 10; i < bf16.size(); ++i) {
    mean_bf16 += bf16[i].lm_loss / 10;
    mean_fp8 += fp8[i].lm_loss / 10;
    apart += std::abs(bf16[i].lm_loss - fp8[i].lm_loss);
  }
  EXPECT_LT(mean_bf16, 0.1 * start) << "the run has not learned: nothing to compare";
  EXPECT_GT(apart, 0) << "the run was not in fp8";
  // Both have lost nine tenths of what there was to lose; fp8 lags by no more than a twentieth of it.
  EXPECT_NEAR(mean_fp8, mean_bf16, 0.05 * start);

  // The checkpoint is f32 like any other, and computes in bf16.
  const fs::path dir = checkpoint_dir(folder / "fp8", 100);
  const io::Safetensors file = io::Safetensors::open(dir / "model.safetensors");
  EXPECT_EQ(file.tensor("model.layers.0.self_attn.o_proj.weight").dtype(), DType::f32);
  ThreadPool pool(2);
  const kernels::Context cx(pool, kernels::default_isa());
  model::CausalLm model = model::load_model(dir, DType::bf16);
  CountingRows rows;
  TrainRows batch;
  for (int i = 0; i < 8; ++i) batch.tokens.push_back(rows.next().tokens);
  const ObjectiveResult r = run_objective(cx, model, batch, {.global_tokens = 8 * kRowTokens, .global_rows = 8});
  EXPECT_NEAR(r.main, mean_fp8, 0.05 * start);
}

}  // namespace
}  // namespace hadal::train
