// Weights to start from: MTP modules that a folder lacks, tensors without elements, values that are not finite.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/file.h"
#include "model/load.h"
#include "model/names.h"
#include "support/random_model.h"
#include "support/temp_folder.h"

namespace hadal::model {
namespace {

using test::error_of;
using test::TempFolder;

Config config_with(std::int64_t modules) {
  return preset("tiny", {{"num_nextn_predict_layers", std::to_string(modules)}, {"hidden_size", "32"}});
}

io::NamedTensors tensors_of(CausalLm& model) {
  io::NamedTensors all;
  model.visit([&](const nn::Parameter& p) {
    each_checkpoint_tensor(p, *p.value,
                           [&](const std::string& name, const Tensor& t) { all.emplace_back(name, t.clone()); });
  });
  return all;
}

// A folder whose config counts `counted` modules and whose weights hold `held`.
void write(const std::filesystem::path& folder, std::int64_t held, std::int64_t counted,
           const io::NamedTensors& more = {}) {
  CausalLm model(config_with(held), DType::f32);
  init_model(model, 3, 0.1);
  io::NamedTensors tensors = tensors_of(model);
  tensors.insert(tensors.end(), more.begin(), more.end());
  io::write_safetensors(folder / "model.safetensors", tensors, {});
  write_file_atomically(folder / "config.json", config_json(config_with(counted), DType::f32));
}

TEST(Start, ModulesThatAreMissingAreSaidAlikeAndLeftOut) {
  const TempFolder folder;
  write(folder.path(), 0, 1);
  const std::string line = missing_mtp(load_config(folder.path()), io::HfDir(folder.path()));
  EXPECT_NE(line.find("counts 1 MTP module, the weights hold none"), std::string::npos) << line;
  EXPECT_EQ(load_model(folder.path(), DType::f32).mtp_modules().size(), 0u);
  const TempFolder two;
  write(two.path(), 1, 2);
  EXPECT_NE(
      missing_mtp(load_config(two.path()), io::HfDir(two.path())).find("counts 2 MTP modules, the weights hold 1"),
      std::string::npos);
  EXPECT_EQ(load_model(two.path(), DType::f32).mtp_modules().size(), 1u);
  const TempFolder whole;
  write(whole.path(), 1, 1);
  EXPECT_EQ(missing_mtp(load_config(whole.path()), io::HfDir(whole.path())), "");
}

TEST(Start, MissingModulesKeepTheirInitialWeights) {
  const TempFolder folder;
  write(folder.path(), 1, 1);
  const std::vector<std::string> notes = check_start(config_with(2), folder.path());
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("counts 2 MTP modules, the weights hold 1: what is missing starts afresh"), std::string::npos)
      << notes[0];
  CausalLm fresh(config_with(2), DType::f32), started(config_with(2), DType::f32);
  init_model(fresh, 9, 0.1);
  init_model(started, 9, 0.1);
  load_weights(started, folder.path());
  const io::NamedTensors a = tensors_of(fresh), b = tensors_of(started);
  const io::HfDir held(folder.path());
  int from_folder = 0, afresh = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool there = held.contains(a[i].first);
    EXPECT_EQ(there, !a[i].first.starts_with("model.layers.4."));
    EXPECT_TRUE(test::same_bits(b[i].second, there ? held.tensor(a[i].first) : a[i].second)) << a[i].first;
    ++(there ? from_folder : afresh);
  }
  EXPECT_GT(from_folder, 20);
  EXPECT_GT(afresh, 10);
}

TEST(Start, ModulesBeyondTheRunsAreLeftOut) {
  const TempFolder folder;
  write(folder.path(), 2, 2);
  const std::vector<std::string> notes = check_start(config_with(0), folder.path());
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("of its 2 MTP modules 0 are trained further"), std::string::npos) << notes[0];
  CausalLm model(config_with(0), DType::f32);
  load_weights(model, folder.path());
}

TEST(Start, AnotherShapeOrConfigOrValueIsSaid) {
  const TempFolder folder;
  write(folder.path(), 1, 1);
  const Config wide = preset("tiny", {{"hidden_size", "64"}});
  EXPECT_NE(error_of([&] { check_start(wide, folder.path()); }).find("has shape"), std::string::npos);
  Config theta = config_with(1);
  theta.rope_theta = 5e5;
  const std::vector<std::string> notes = check_start(theta, folder.path());
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("another rope_theta (10000.0 -> 500000.0)"), std::string::npos) << notes[0];
  const TempFolder bad;
  CausalLm model(config_with(1), DType::f32);
  init_model(model, 3, 0.1);
  model.visit([](const nn::Parameter& p) {
    if (p.name == "model.norm.weight") p.value->data<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  });
  io::write_safetensors(bad / "model.safetensors", tensors_of(model), {});
  write_file_atomically(bad / "config.json", config_json(config_with(1), DType::f32));
  EXPECT_NE(error_of([&] { check_start(config_with(1), bad.path()); }).find("'model.norm.weight' holds NaN"),
            std::string::npos);
}

TEST(Start, TensorsWithoutElementsHaveNoPlaceAndNeedNone) {
  const TempFolder folder;
  write(folder.path(), 1, 1,
        {{"model.layers.1.mlp.shared_experts.none.weight", Tensor::empty({0, 32}, DType::f32)},
         {"model.layers.1.mlp.shared_experts.nothing.weight", Tensor::empty({32, 0}, DType::f32)}});
  EXPECT_EQ(load_model(folder.path(), DType::f32).mtp_modules().size(), 1u);
  const TempFolder one;
  write(one.path(), 1, 1, {{"model.layers.1.mlp.extra.weight", Tensor::zeros({1}, DType::f32)}});
  EXPECT_NE(error_of([&] { load_model(one.path(), DType::f32); }).find("unexpected tensor"), std::string::npos);
}

}  // namespace
}  // namespace hadal::model
