// A valid file whose tensors are not of the model's shape, type or range is refused in one line that names the file and
// the tensor, before anything is computed with it.
#include <gtest/gtest.h>

#include "support/temp_folder.h"
#include "verify/reference_copy.h"
#include "verify/replay.h"

namespace hadal {
namespace {

using test::Machine;

Tensor integers(const Shape& shape, const std::vector<std::int64_t>& values) {
  Tensor t = Tensor::zeros(shape, DType::i64);
  for (std::size_t i = 0; i < values.size(); ++i) t.data<std::int64_t>()[i] = values[i];
  return t;
}

// What the replay of v3_mtp says when one tensor is another.
std::string error_with(const std::string& name, const Tensor& tensor, DType act = DType::f32) {
  const test::TempFolder folder;
  test::Contents contents(test::stored_model("v3_mtp") / "reference.safetensors");
  contents.drop(name);
  contents.tensors.emplace_back(name, tensor);
  contents.write(folder / "other.safetensors");
  verify::Options options;
  options.act = act;
  return test::error_of(
      [&] { verify::replay(Machine(1).cx, test::stored_model("v3_mtp"), folder / "other.safetensors", options); });
}

void expect_named(const std::string& name, const Tensor& tensor, DType act = DType::f32) {
  const std::string error = error_with(name, tensor, act);
  EXPECT_NE(error.find("other.safetensors: tensor '" + name + "'"), std::string::npos)
      << name << " " << to_string(tensor.shape()) << ": " << error;
  EXPECT_EQ(error.find("bug in hadal"), std::string::npos) << error;
}

TEST(ReferenceShapes, OtherSizesAndRanksAreRefused) {
  const Shape shapes[] = {{}, {0}, {1}, {2}, {0, 0}, {0, 34}, {2, 0}, {1, 1}, {1, 3}, {1, 2, 2}, {2, 1, 1, 1, 1, 1}};
  for (const char* name : {"tokens", "packed.document", "greedy.prompt", "greedy.continuation", "steps.tokens"}) {
    for (const Shape& shape : shapes) {
      if (name == std::string("greedy.prompt") && shape == Shape{1, 1}) continue;
      if (name == std::string("greedy.prompt") && shape == Shape{1, 3}) continue;
      if (name == std::string("greedy.continuation") && (shape == Shape{1, 1} || shape == Shape{1, 3})) continue;
      expect_named(name, Tensor::zeros(shape, DType::i64));
    }
  }
  for (const Shape& shape : shapes) expect_named("logits", Tensor::zeros(shape, DType::f32));
}

TEST(ReferenceShapes, LongTextMustHoldWhatIsCompared) {
  expect_named("long.tokens", Tensor::zeros({1, 0}, DType::i64));
  expect_named("long.tokens", Tensor::zeros({4}, DType::i64));
  // There is no long.last_logits beside it.
  EXPECT_NE(error_with("long.tokens", Tensor::zeros({1, 4}, DType::i64)).find("'long.last_logits' is missing"),
            std::string::npos);
}

TEST(ReferenceShapes, IdsAreOfTheVocabulary) {
  for (const std::int64_t id : {std::int64_t{-1}, std::int64_t{256}, std::int64_t{1} << 32}) {
    expect_named("greedy.prompt", integers({1, 2}, {0, id}));
  }
  expect_named("tokens", Tensor::zeros({2, 34}, DType::f32));
  expect_named("tokens", Tensor::zeros({2, 34}, DType::u8));
  expect_named("logits", Tensor::zeros({2, 33, 256}, DType::u8));
}

TEST(ReferenceShapes, ForcedExpertsRiseAndAreOfTheModel) {
  const std::string name = "routing.layer.1.experts";
  expect_named(name, Tensor::zeros({2, 33, 2}, DType::i64), DType::bf16);
  expect_named(name, Tensor::zeros({0, 33, 3}, DType::i64), DType::bf16);
  expect_named(name, Tensor::zeros({66, 3}, DType::i64), DType::bf16);
  expect_named(name, Tensor::zeros({2, 33, 3}, DType::i64), DType::bf16);
  expect_named(name, integers({2, 33, 3}, {0, 1, 8}), DType::bf16);
  expect_named(name, integers({2, 33, 3}, {-1, 1, 2}), DType::bf16);
  expect_named(name, Tensor::zeros({2, 33, 3}, DType::f32), DType::bf16);
}

TEST(ReferenceShapes, AnErrorOfBf16IsOneNumber) {
  for (const Shape& shape : {Shape{0}, Shape{2}}) {
    expect_named("bf16_error.logits", Tensor::zeros(shape, DType::f64), DType::bf16);
  }
}

TEST(ReferenceShapes, NamesThatNoLayerHasAreFailedRows) {
  for (const char* name : {"routing.layer.x.experts", "routing.layer.99999999999999999999.experts",
                           "routing.layer..experts", "trace.layer.-1.ffn", "mtp_logits.0", "steps.final.nothing"}) {
    const test::TempFolder folder;
    test::Contents contents(test::stored_model("v3") / "reference.safetensors");
    contents.tensors.emplace_back(name, Tensor::zeros({0}, DType::i64));
    contents.write(folder / "more.safetensors");
    const verify::Report report =
        verify::replay(Machine(2).cx, test::stored_model("v3"), folder / "more.safetensors", {});
    EXPECT_EQ(report.failed(), 1u) << name;
  }
}

}  // namespace
}  // namespace hadal
