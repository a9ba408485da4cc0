// bf16 moments: kept, saved and read back as bf16; a resumed run goes on to the bit.
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "io/safetensors.h"
#include "support/random_model.h"
#include "support/temp_folder.h"
#include "train/checkpoint.h"

namespace hadal {
namespace {

using test::same_bits;

struct Trained {
  model::CausalLm model;
  train::Optimizer optimizer;
  train::Ema ema{optimizer, 0};
  train::Trained all() { return {model, optimizer, ema}; }
  explicit Trained(const model::Config& config, DType moments)
      : model(randomised(config)), optimizer(model, {.moments = moments}) {}
  static model::CausalLm randomised(const model::Config& config) {
    model::CausalLm m(config, DType::bf16);
    test::Random random(5);
    test::randomise(m, random);
    return m;
  }
  void step(const kernels::Context& cx, std::int64_t number) {
    test::Random random(static_cast<std::uint64_t>(number));
    for (train::TrainedParameter& p : optimizer.parameters()) {
      p.grad = test::random_tensor(p.master.shape(), DType::f32, random, 0.01);
    }
    optimizer.step(cx, 1e-3, 0.7, number);
  }
};

void expect_equal(const Trained& a, const Trained& b) {
  for (std::size_t i = 0; i < a.optimizer.parameters().size(); ++i) {
    const train::TrainedParameter &p = a.optimizer.parameters()[i], &q = b.optimizer.parameters()[i];
    EXPECT_TRUE(same_bits(p.master, q.master)) << p.parameter.name;
    EXPECT_TRUE(same_bits(p.m, q.m)) << p.parameter.name;
    EXPECT_TRUE(same_bits(p.v, q.v)) << p.parameter.name;
    EXPECT_TRUE(same_bits(*p.parameter.value, *q.parameter.value)) << p.parameter.name;
  }
}

TEST(Moments, Bf16ResumesToTheBit) {
  ThreadPool pool(2);
  const kernels::Context cx(pool, kernels::default_isa());
  test::Random random(3);
  const model::Config config = test::small_v3(random);
  const test::TempFolder folder;
  Trained straight(config, DType::bf16), resumed(config, DType::bf16), wide(config, DType::f32);
  for (int i = 1; i <= 2; ++i) straight.step(cx, i);
  const train::TrainerState state{.step = 2};
  train::save_checkpoint(train::RunFolder(folder.path()), straight.all(), state, {}, 1);
  const auto dir = train::checkpoint_dir(folder.path(), 2);
  const auto file = io::Safetensors::open(dir / "trainer" / "moments.safetensors");
  EXPECT_EQ(file.tensor("model.norm.weight.m").dtype(), DType::bf16);
  EXPECT_EQ(file.tensor("model.norm.weight.v").dtype(), DType::bf16);
  train::load_checkpoint(dir, cx, resumed.all());
  expect_equal(straight, resumed);
  for (int i = 3; i <= 4; ++i) straight.step(cx, i), resumed.step(cx, i);
  expect_equal(straight, resumed);
  // Moments of another type are not taken for these.
  EXPECT_THROW(train::load_checkpoint(dir, cx, wide.all()), Error);
}

TEST(Moments, ATensorOfAnotherShapeIsNotTaken) {
  ThreadPool pool(1);
  const kernels::Context cx(pool, kernels::default_isa());
  test::Random random(3);
  const model::Config config = test::small_v3(random);
  const test::TempFolder folder;
  Trained trained(config, DType::f32);
  const train::TrainerState state{.step = 1};
  train::save_checkpoint(train::RunFolder(folder.path()), trained.all(), state, {}, 1);
  const auto dir = train::checkpoint_dir(folder.path(), 1);
  train::load_checkpoint(dir, cx, trained.all());
  // As many numbers of the same type, in another shape: only the header differs, whose length stays.
  std::string bytes = read_file(dir / "model.safetensors");
  const std::string own = fmt::format("[{},{}]", config.vocab_size, config.hidden_size),
                    turned = fmt::format("[{},{}]", config.hidden_size, config.vocab_size);
  const std::size_t place = bytes.find(own, bytes.find("\"model.embed_tokens.weight\""));
  ASSERT_NE(place, std::string::npos);
  bytes.replace(place, own.size(), turned);
  write_file_atomically(dir / "model.safetensors", bytes);
  EXPECT_THROW(train::load_checkpoint(dir, cx, trained.all()), Error);
}

TEST(Moments, Bf16TakeHalfTheMemory) {
  test::Random random(4);
  const model::Config config = test::small_v3(random);
  model::CausalLm model = Trained::randomised(config);
  const auto bytes = [&](DType moments) {
    const std::size_t before = tensor_memory().live;
    const train::Optimizer optimizer(model, {.moments = moments});
    return tensor_memory().live - before;
  };
  std::size_t elements = 0, tensors = 0;
  model.visit([&](const nn::Parameter& p) {
    if (p.kind == nn::ParameterKind::gate_bias) return;
    elements += static_cast<std::size_t>(p.value->numel());
    ++tensors;
  });
  // 2 moments, 2 bytes less each; every tensor's memory is rounded up by less than 128 bytes.
  EXPECT_NEAR(static_cast<double>(bytes(DType::f32) - bytes(DType::bf16)), 4.0 * static_cast<double>(elements),
              256.0 * static_cast<double>(tensors));
}

}  // namespace
}  // namespace hadal
