// hadal verify passes on every stored model in f32, whatever the threads, the ISA and the form of MLA, and its rows are
// exactly the tensors of the file.
#include <gtest/gtest.h>

#include "verify/reference_copy.h"
#include "verify/replay.h"

namespace hadal {
namespace {

using test::Machine;

// The bounds that the numerics contract names (DESIGN §3): a tensor may not be compared more loosely.
double most_allowed(const std::string& tensor) {
  if (tensor.starts_with("greedy.") || tensor.ends_with(".experts") || tensor == "loads") return 0;
  if (tensor.starts_with("long.")) return 1e-3;
  if (tensor.starts_with("steps.final.") && tensor.ends_with("k_proj.bias")) return 1e-3;
  return tensor.starts_with("grad.") || tensor.starts_with("steps.") ? 1e-4 : 1e-5;
}

void expect_passes(const std::string& name, const Machine& machine, nn::MlaForm form) {
  const auto file = test::stored_model(name) / "reference.safetensors";
  verify::Options options;
  options.form = form;
  const verify::Report report = verify::replay(machine.cx, test::stored_model(name), file, options);
  EXPECT_TRUE(report.passed()) << report.failed() << " failed, first " << report.first_difference;
  for (const verify::Row& row : report.rows) {
    EXPECT_TRUE(row.ok) << row.tensor << ": " << row.error << " " << row.note;
    EXPECT_LE(row.bound, most_allowed(row.tensor)) << row.tensor;
  }
  std::vector<std::string> rows;
  rows.reserve(report.rows.size());
  for (const verify::Row& row : report.rows) rows.push_back(row.tensor);
  std::sort(rows.begin(), rows.end());
  EXPECT_EQ(rows, io::Safetensors::open(file).names());  // sorted, each once
}

class StoredModel : public testing::TestWithParam<std::string> {};

TEST_P(StoredModel, PassesWithOneThread) { expect_passes(GetParam(), Machine(1), nn::MlaForm::expanded); }

TEST_P(StoredModel, PassesWithThreeThreads) { expect_passes(GetParam(), Machine(3), nn::MlaForm::expanded); }

TEST_P(StoredModel, PassesOnEveryFastIsa) {
  for (const kernels::Isa isa : {kernels::Isa::avx2, kernels::Isa::avx512}) {
    if (kernels::supported(isa)) expect_passes(GetParam(), Machine(2, isa), nn::MlaForm::expanded);
  }
}

TEST_P(StoredModel, PassesInTheAbsorbedForm) { expect_passes(GetParam(), Machine(2), nn::MlaForm::latent); }

INSTANTIATE_TEST_SUITE_P(Models, StoredModel, testing::ValuesIn(test::stored_models()),
                         [](const auto& model) { return model.param; });

TEST(StoredModels, AllSevenFamiliesAreThere) {
  const std::vector<std::string> wanted = {"llama", "moonlight", "qwen2", "v2", "v2_lite", "v3", "v3_mtp"};
  EXPECT_EQ(test::stored_models(), wanted);
}

}  // namespace
}  // namespace hadal
