// bf16 with the choice of experts forced: errors stay within 1.5 x those of PyTorch in bf16 on the same weights.
// PyTorch's lie beside the models: tools/reference.py DIR --like FILE --errors-only --neighbours 8.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "io/safetensors.h"
#include "nn/rope_table.h"
#include "support/random_model.h"
#include "support/temp_folder.h"
#include "verify/compare.h"
#include "verify/replay.h"

namespace hadal::verify {
namespace {

const std::string kModels = std::string(HADAL_TEST_DATA) + "/models/";

std::string reference_of(const std::string& model) { return kModels + model + "/reference.safetensors"; }

Options in_bf16(const std::string& model, nn::MlaForm form = nn::MlaForm::expanded) {
  Options o;
  o.act = DType::bf16;
  o.form = form;
  o.bf16_errors = kModels + model + "/bf16_errors.safetensors";
  return o;
}

Report replay_bf16(const std::string& model, const std::filesystem::path& reference, const Options& options,
                   kernels::Isa isa = kernels::default_isa(), int threads = 2) {
  ThreadPool pool(threads);
  return replay(kernels::Context(pool, isa), kModels + model, reference, options);
}

std::set<std::string> failures(const Report& report) {
  std::set<std::string> names;
  for (const Row& row : report.rows) {
    if (!row.ok) names.insert(row.tensor);
  }
  return names;
}

// The tensors that PyTorch's errors are about.
std::set<std::string> measured(const std::string& model) {
  std::set<std::string> names;
  for (const std::string& name : io::Safetensors::open(in_bf16(model).bf16_errors).names()) {
    if (name.starts_with("bf16_error.")) names.insert(name.substr(11));
  }
  return names;
}

class Bf16Test : public testing::TestWithParam<const char*> {};

TEST_P(Bf16Test, StaysWithinOneAndAHalfOfPyTorch) {
  for (const nn::MlaForm form : {nn::MlaForm::expanded, nn::MlaForm::latent}) {
    const Report report = replay_bf16(GetParam(), reference_of(GetParam()), in_bf16(GetParam(), form));
    EXPECT_EQ(failures(report), std::set<std::string>());
    EXPECT_EQ(report.first_difference, "");
    EXPECT_EQ(report.rows.size(), io::Safetensors::open(reference_of(GetParam())).names().size());
  }
}

TEST_P(Bf16Test, EveryIsaPasses) {
  for (const kernels::Isa isa : test::isas()) {
    const Report report = replay_bf16(GetParam(), reference_of(GetParam()), in_bf16(GetParam()), isa, 3);
    EXPECT_EQ(failures(report), std::set<std::string>()) << kernels::name_of(isa);
  }
}

// Logits, losses, traces and every gradient have a yardstick, and one so small that three times the bound stands out.
TEST_P(Bf16Test, EveryRealTensorIsMeasured) {
  std::set<std::string> wanted;
  const io::Safetensors file = io::Safetensors::open(reference_of(GetParam()));
  for (const std::string& name : file.names()) {
    const std::string kind = name.substr(0, name.find('.'));
    const bool real = std::set<std::string>{"logits", "mtp_logits", "loss", "grad", "trace"}.contains(kind);
    if (real && !name.ends_with(".experts")) wanted.insert(name);
  }
  EXPECT_EQ(measured(GetParam()), wanted);
  for (const Row& row : replay_bf16(GetParam(), reference_of(GetParam()), in_bf16(GetParam())).rows) {
    if (wanted.contains(row.tensor)) {
      EXPECT_LT(row.bound, 0.25) << row.tensor;
    }
  }
}

// A vector of the tensor's shape whose norm is `norm`: every element the same, signs in turn.
Tensor moved(const Tensor& t, double relative) {
  const std::vector<double> v = to_doubles(t);
  double squares = 0;
  for (const double x : v) squares += x * x;
  const double norm = squares > 0 ? std::sqrt(squares) : 1;
  Tensor result = t.clone();
  for (std::size_t i = 0; i < v.size(); ++i) {
    const double step = relative * norm / std::sqrt(static_cast<double>(v.size())) * (i % 2 == 0 ? 1 : -1);
    if (t.dtype() == DType::f64) {
      result.data<double>()[i] = v[i] + step;
    } else {
      result.data<float>()[i] = static_cast<float>(v[i] + step);
    }
  }
  return result;
}

TEST_P(Bf16Test, EveryTensorMovedByThreeTimesItsBoundFailsByName) {
  const std::set<std::string> names = measured(GetParam());
  const io::Safetensors file = io::Safetensors::open(reference_of(GetParam()));
  std::map<std::string, double> bounds;
  for (const Row& row : replay_bf16(GetParam(), file.path(), in_bf16(GetParam())).rows) bounds[row.tensor] = row.bound;
  io::NamedTensors tensors;
  std::set<std::string> wanted;
  for (const std::string& name : file.names()) {
    const bool move = names.contains(name) && bounds[name] > 0;
    if (move) wanted.insert(name);
    tensors.emplace_back(name, move ? moved(file.tensor(name), 3 * bounds[name]) : file.tensor(name));
  }
  const test::TempFolder folder;
  io::write_safetensors(folder / "moved.safetensors", tensors, file.metadata());
  EXPECT_EQ(failures(replay_bf16(GetParam(), folder / "moved.safetensors", in_bf16(GetParam()))), wanted);
}

TEST_P(Bf16Test, WithoutYardstickBoundsAreGeneral) {
  Options o = in_bf16(GetParam());
  EXPECT_FALSE(replay_bf16(GetParam(), reference_of(GetParam()), o).general_bounds);
  o.bf16_errors.clear();
  const Report report = replay_bf16(GetParam(), reference_of(GetParam()), o);
  EXPECT_TRUE(report.general_bounds);
  for (const Row& row : report.rows) {
    if (!row.note.empty()) continue;
    EXPECT_EQ(row.bound, row.tensor.starts_with("loss.") ? 5e-3 : 5e-2) << row.tensor;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Bf16Test,
                         testing::Values("v3", "v3_mtp", "moonlight", "v2", "v2_lite", "qwen2", "llama"),
                         [](const auto& parameter) { return std::string(parameter.param); });

// The replay of v2 when PyTorch's error of lm_head's gradient was `error`.
Report with_error_of_head(double error) {
  const io::Safetensors file = io::Safetensors::open(in_bf16("v2").bf16_errors);
  io::NamedTensors tensors;
  for (const std::string& name : file.names()) {
    Tensor t = file.tensor(name).clone();
    if (name == "bf16_error.grad.lm_head.weight") *t.data<double>() = error;
    tensors.emplace_back(name, t);
  }
  const test::TempFolder folder;
  io::write_safetensors(folder / "errors.safetensors", tensors, file.metadata());
  Options o = in_bf16("v2");
  o.bf16_errors = folder / "errors.safetensors";
  return replay_bf16("v2", reference_of("v2"), o);
}

// The bound is PyTorch's error in the file, not a number of verify's own.
TEST(Bf16Yardstick, ASmallerOneFails) {
  EXPECT_EQ(failures(with_error_of_head(1e-4)), (std::set<std::string>{"grad.lm_head.weight"}));
}

TEST(Bf16Yardstick, ZerosDoNotPassUnlessPyTorchIsAsFarOff) {
  for (const auto& [error, bound] : {std::pair{0.4, 1.5 * 0.4}, {0.7, 0.9}, {20.0, 20.0}}) {
    const Report report = with_error_of_head(error);
    const auto row = std::ranges::find(report.rows, "grad.lm_head.weight", &Row::tensor);
    ASSERT_NE(row, report.rows.end());
    EXPECT_DOUBLE_EQ(row->bound, bound);
  }
}

TEST(Bf16Yardstick, OfAnotherModelIsRefused) {
  Options o = in_bf16("v3");
  o.bf16_errors = in_bf16("v3_mtp").bf16_errors;
  const std::string text = test::error_of([&] { replay_bf16("v3", reference_of("v3"), o); });
  EXPECT_NE(text.find("another text"), std::string::npos) << text;
  o.bf16_errors = reference_of("v3");
  const std::string format = test::error_of([&] { replay_bf16("v3", reference_of("v3"), o); });
  EXPECT_NE(format.find("hadal-bf16-errors-1"), std::string::npos) << format;
}

// Errors of bf16 hide no wrong formula: m instead of m² in the softmax scale fails, expanded and absorbed.
TEST(Bf16Yardstick, PlantedBugFails) {
  for (const nn::MlaForm form : {nn::MlaForm::expanded, nn::MlaForm::latent}) {
    Options o = in_bf16("v3", form);
    o.tamper = [](model::CausalLm& m) {
      const double scale = nn::yarn_mscale(m.config().rope.factor, m.config().rope.mscale_all_dim);
      for (nn::Block& block : m.blocks()) std::get<nn::Mla>(block.attention()).settings().softmax_scale /= scale;
    };
    const Report report = replay_bf16("v3", reference_of("v3"), o);
    EXPECT_EQ(report.first_difference, "layer 0, attention");
    EXPECT_TRUE(failures(report).contains("logits"));
  }
}

// Experts that take no part in the forced choice must not matter: the choice is the reference's, in the cache as well.
TEST(Bf16Yardstick, ChoiceIsForcedInBothForms) {
  for (const nn::MlaForm form : {nn::MlaForm::expanded, nn::MlaForm::latent}) {
    Options o = in_bf16("v3", form);
    o.tamper = [](model::CausalLm& m) {
      for (const Tensor& bias : m.gate_biases()) std::reverse(bias.data<float>(), bias.data<float>() + bias.numel());
    };
    EXPECT_EQ(failures(replay_bf16("v3", reference_of("v3"), o)), std::set<std::string>());
  }
}

}  // namespace
}  // namespace hadal::verify
