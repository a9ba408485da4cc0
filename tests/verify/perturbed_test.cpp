// Each compared tensor, moved by three times its bound, fails by name and alone; moved by a third of it, it passes.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <random>

#include "support/temp_folder.h"
#include "verify/reference_copy.h"
#include "verify/replay.h"

namespace hadal {
namespace {

using test::Machine;
using test::ReferenceCopy;
using verify::Row;

bool compared(const Row& row) { return row.note != "input" && row.note != "f32 only"; }
bool integers(const Row& row) { return row.note == "integers" || row.note == "forced"; }

// One replay's values, judged again and again against changed files by verify's own comparison.
class Judge {
 public:
  Judge(const std::string& name, DType act, const std::filesystem::path& file) : act_(act) {
    layers_ = model::load_config(test::stored_model(name) / "config.json").num_hidden_layers;
    verify::Options options;
    options.act = act;
    options.keep = [&](const std::string& tensor, std::span<const double> mine) {
      values_[tensor].assign(mine.begin(), mine.end());
    };
    first_ = verify::replay(Machine(2).cx, test::stored_model(name), file, options);
  }
  const verify::Report& first() const { return first_; }

  const std::vector<double>& value(const std::string& tensor) const { return values_.at(tensor); }
  void set(const std::string& tensor, std::vector<double> value) { values_.at(tensor) = std::move(value); }

  verify::Report against(const std::filesystem::path& path) const {
    const verify::Reference file(path);
    verify::Comparison comparison(file, act_);
    for (const Row& row : first_.rows) {
      if (!compared(row)) {
        comparison.used(row.tensor);
      } else if (const auto& mine = values_.at(row.tensor); integers(row)) {
        comparison.compare_integers(row.tensor, std::vector<std::int64_t>(mine.begin(), mine.end()));
      } else {
        comparison.compare(row.tensor, mine);
      }
    }
    return comparison.finish(layers_);
  }

 private:
  DType act_;
  std::int64_t layers_ = 0;
  verify::Report first_;
  std::map<std::string, std::vector<double>> values_;
};

// value + size * its norm along a random direction; along the direction alone if value is zero.
std::vector<double> moved(const std::vector<double>& value, double size, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  std::vector<double> direction(value.size());
  for (double& d : direction) d = normal(random);
  const auto norm = [](const std::vector<double>& v) {
    return std::sqrt(std::inner_product(v.begin(), v.end(), v.begin(), 0.0));
  };
  const double scale = size * (norm(value) > 0 ? norm(value) : 1.0) / norm(direction);
  std::vector<double> result = value;
  for (std::size_t i = 0; i < value.size(); ++i) result[i] += scale * direction[i];
  return result;
}

std::vector<double> one_changed(std::vector<double> value, std::mt19937_64& random) {
  double& v = value[random() % value.size()];
  v += v > 0 ? -1 : 1;
  return value;
}

std::vector<std::string> failed_rows(const verify::Report& report) {
  std::vector<std::string> names;
  for (const Row& row : report.rows)
    if (!row.ok) names.push_back(row.tensor);
  return names;
}

bool is_zero(const std::vector<double>& v) {
  return std::all_of(v.begin(), v.end(), [](double x) { return x == 0; });
}

class Perturbed : public testing::TestWithParam<std::string> {
 protected:
  // Were the zero moved, it would be none: what moves is our value.
  void zero_is_compared_absolutely(Judge& judge, const std::filesystem::path& file, const Row& row) {
    const std::vector<double> mine = judge.value(row.tensor), zero(mine.size());
    judge.set(row.tensor, moved(zero, 3 * row.bound, random_));
    EXPECT_EQ(failed_rows(judge.against(file)), std::vector<std::string>{row.tensor});
    judge.set(row.tensor, moved(zero, 0.3 * row.bound, random_));
    EXPECT_TRUE(judge.against(file).passed()) << row.tensor << " moved by 0.3 bounds";
    judge.set(row.tensor, mine);
  }

  std::filesystem::path reference() const { return test::stored_model(GetParam()) / "reference.safetensors"; }
  test::TempFolder folder_;
  std::mt19937_64 random_{7};
};

TEST_P(Perturbed, EachTensorFailsByNameAndAlone) {
  Judge judge(GetParam(), DType::f32, reference());
  ASSERT_TRUE(judge.first().passed());
  const io::Safetensors original = io::Safetensors::open(reference());
  ReferenceCopy copy(reference(), folder_ / "changed.safetensors");
  ASSERT_TRUE(judge.against(copy.path()).passed());
  std::size_t tried = 0, spared = 0;
  for (const Row& row : judge.first().rows) {
    if (!compared(row)) continue;
    const std::vector<double> value = verify::to_doubles(original.tensor(row.tensor));
    if (is_zero(value) && !integers(row)) {
      zero_is_compared_absolutely(judge, copy.path(), row);
      ++tried;
      continue;
    }
    copy.write(row.tensor, integers(row) ? one_changed(value, random_) : moved(value, 3 * row.bound, random_));
    EXPECT_EQ(failed_rows(judge.against(copy.path())), std::vector<std::string>{row.tensor});
    ++tried;
    if (!integers(row) && row.error < 0.5 * row.bound) {
      copy.write(row.tensor, moved(value, 0.3 * row.bound, random_));
      const std::vector<std::string> failed = failed_rows(judge.against(copy.path()));
      EXPECT_TRUE(failed.empty()) << row.tensor << " moved by 0.3 bounds";
      ++spared;
    }
    copy.write(row.tensor, value);
  }
  EXPECT_TRUE(judge.against(copy.path()).passed());
  std::size_t inputs = 0;
  for (const char* name : {"tokens", "packed.document", "greedy.prompt", "long.tokens", "steps.tokens"})
    inputs += original.contains(name);
  EXPECT_EQ(tried, original.names().size() - inputs);
  EXPECT_GT(spared, tried / 2);
}

TEST(MoreThanKnown, AnUnknownTensorIsAFailedRow) {
  const test::TempFolder folder;
  test::Contents contents(test::stored_model("v2") / "reference.safetensors");
  contents.tensors.emplace_back("grad.model.layers.99.nothing.weight", Tensor::zeros({3}, DType::f32));
  contents.write(folder / "more.safetensors");
  const verify::Report report =
      verify::replay(Machine(2).cx, test::stored_model("v2"), folder / "more.safetensors", {});
  EXPECT_EQ(failed_rows(report), std::vector<std::string>{"grad.model.layers.99.nothing.weight"});
  EXPECT_EQ(report.rows.size(), contents.tensors.size());
}

INSTANTIATE_TEST_SUITE_P(SlowModels, Perturbed, testing::ValuesIn(test::stored_models()),
                         [](const auto& model) { return model.param; });

// The error of a replay whose reference lacks one tensor; the file is named "less.safetensors".
std::string error_without(const std::string& model, const std::string& tensor, DType act = DType::f32) {
  const test::TempFolder folder;
  test::Contents contents(test::stored_model(model) / "reference.safetensors");
  contents.drop(tensor);
  contents.write(folder / "less.safetensors");
  verify::Options options;
  options.act = act;
  return test::error_of(
      [&] { verify::replay(Machine(2).cx, test::stored_model(model), folder / "less.safetensors", options); });
}

TEST(LackingReference, OneLineNamesTheFileAndTheTensor) {
  for (const char* tensor : {"tokens", "logits", "packed.document", "greedy.prompt", "long.last_logits", "steps.losses",
                             "loss.total", "grad.model.norm.weight", "grad.model.layers.1.mlp.gate.weight"}) {
    const std::string error = error_without("v3", tensor);
    EXPECT_NE(error.find("less.safetensors"), std::string::npos) << tensor << ": " << error;
    EXPECT_NE(error.find(std::string("'") + tensor + "'"), std::string::npos) << tensor << ": " << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
}

TEST(LackingReference, Bf16NeedsTheChoiceOfExpertsOfEveryLayer) {
  const std::string error = error_without("v3_mtp", "routing.layer.2.experts", DType::bf16);
  EXPECT_NE(error.find("less.safetensors"), std::string::npos) << error;
  EXPECT_NE(error.find("routing.layer"), std::string::npos) << error;
}

}  // namespace
}  // namespace hadal
