// Filters against transformers' warpers (tests/data/losses, every sampling.* tensor), draws, and settings out of range.
#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/safetensors.h"

namespace hadal::engine {
namespace {

// "repetition_1.1+temperature_0.7": every part is a setting and its value.
SamplingSettings settings_of(const std::string& name) {
  const std::map<std::string, std::function<void(SamplingSettings&, double)>> known = {
      {"temperature", [](auto& s, double v) { s.temperature = v; }},
      {"top_k", [](auto& s, double v) { s.top_k = static_cast<std::int64_t>(v); }},
      {"top_p", [](auto& s, double v) { s.top_p = v; }},
      {"min_p", [](auto& s, double v) { s.min_p = v; }},
      {"repetition", [](auto& s, double v) { s.repetition_penalty = v; }}};
  SamplingSettings s;
  for (std::size_t begin = 0; begin < name.size();) {
    const std::size_t end = std::min(name.find('+', begin), name.size()), value = name.rfind('_', end - 1);
    known.at(name.substr(begin, value - begin))(s, std::stod(name.substr(value + 1, end - value - 1)));
    begin = end + 1;
  }
  return s;
}

TEST(Sampler, FiltersEqualTransformers) {
  const io::Safetensors file = io::Safetensors::open(HADAL_TEST_DATA "/losses/losses.safetensors");
  const Tensor logits = file.tensor("sampling.logits"), history = file.tensor("sampling.history");
  const std::int64_t rows = logits.size(0), vocab = logits.size(1);
  int compared = 0;
  for (const std::string& name : file.names()) {
    if (!name.starts_with("sampling.") || name == "sampling.logits" || name == "sampling.history") continue;
    SCOPED_TRACE(name);
    const SamplingSettings settings = settings_of(name.substr(std::string("sampling.").size()));
    const Tensor want = file.tensor(name);
    ASSERT_EQ(want.shape(), logits.shape());
    for (std::int64_t r = 0; r < rows; ++r) {
      std::vector<float> z(logits.data<float>() + r * vocab, logits.data<float>() + (r + 1) * vocab);
      const std::int64_t* seen = history.data<std::int64_t>() + r * history.size(1);
      filter_logits(z, settings, std::vector<std::int32_t>(seen, seen + history.size(1)));
      for (std::int64_t i = 0; i < vocab; ++i) {
        const float w = want.data<float>()[r * vocab + i], got = z[static_cast<std::size_t>(i)];
        if (std::isinf(w)) {
          EXPECT_EQ(got, w) << "row " << r << " token " << i;
        } else {
          EXPECT_NEAR(got, w, 4 * std::numeric_limits<float>::epsilon() * std::fabs(w))
              << "row " << r << " token " << i;
        }
      }
    }
    ++compared;
  }
  EXPECT_EQ(compared, 7);
}

std::int32_t draw(std::vector<float> z, const SamplingSettings& s, std::int64_t position) {
  return sample(z, s, {}, position);
}

TEST(Sampler, GreedyTakesTheHighestAndOfEqualsTheLowest) {
  SamplingSettings s;
  s.temperature = 0;
  EXPECT_EQ(draw({1, 3, 2}, s, 0), 1);
  EXPECT_EQ(draw({1, 3, 3, 3}, s, 9), 1);
  s.repetition_penalty = 10;
  std::vector<float> z = {1, 3, 2};
  EXPECT_EQ(sample(z, s, std::vector<std::int32_t>{1}, 0), 2) << "the penalty holds for greedy text, too";
}

// 20,000 draws: each frequency within five standard deviations of its probability.
TEST(Sampler, DrawsFollowTheDistribution) {
  const std::vector<float> z = {0.5F, -1.0F, 2.0F, 1.0F, -3.0F};
  SamplingSettings s;
  s.temperature = 0.8;
  s.seed = 11;
  std::vector<double> p;
  p.reserve(z.size());
  double total = 0;
  for (const float v : z) total += std::exp(v / 0.8);
  for (const float v : z) p.push_back(std::exp(v / 0.8) / total);
  constexpr int kDraws = 20000;
  std::vector<int> counts(z.size());
  for (int i = 0; i < kDraws; ++i) ++counts[static_cast<std::size_t>(draw(z, s, i))];
  for (std::size_t i = 0; i < z.size(); ++i)
    EXPECT_NEAR(counts[i], kDraws * p[i], 5 * std::sqrt(kDraws * p[i] * (1 - p[i]))) << i;
}

TEST(Sampler, ADrawDependsOnSeedAndPositionAlone) {
  const std::vector<float> z(50, 0.0F);
  SamplingSettings s, other;
  other.seed = 1;
  int same = 0;
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(draw(z, s, i), draw(z, s, i));
    same += draw(z, s, i) == draw(z, other, i) ? 1 : 0;
  }
  EXPECT_LT(same, 20) << "two seeds agree on about one in 50";
}

TEST(Sampler, RemovedTokensAreNeverDrawn) {
  const std::vector<float> z = {2, 1.9F, 1.8F, -4, 1.7F};
  SamplingSettings top_k, top_p, min_p;
  top_k.top_k = 2;
  top_p.top_p = 0.5;
  min_p.min_p = 0.85;
  for (int i = 0; i < 2000; ++i) {
    EXPECT_LT(draw(z, top_k, i), 2);
    EXPECT_LT(draw(z, top_p, i), 2);
    EXPECT_LT(draw(z, min_p, i), 2);
  }
}

// As transformers keeps one token at least.
TEST(Sampler, TopPOfZeroKeepsTheLikeliest) {
  for (const double v : {0.0, 1e-60}) {
    SamplingSettings s;
    s.top_p = v;
    s.check();
    for (int i = 0; i < 200; ++i) ASSERT_EQ(draw({2, 2.5F, 1, 2.5F}, s, i), 1) << v;
  }
}

// At the ends of float and double a temperature gives its limit: greedy text, or every token alike.
TEST(Sampler, ExtremeTemperaturesGiveTheirLimit) {
  const std::vector<float> logits[] = {{1, 30, 29.99F, -80}, {-5, -3, -3.0001F, -90}, {0, 1e-30F, -1e-30F, -1}};
  for (const std::vector<float>& z : logits) {
    for (const double t : {1e-30, 1e-37, 1e-38, 1e-40, 1e-45, 1e-100, 1e-310, 5e-324}) {
      SamplingSettings s, filtered;
      s.temperature = filtered.temperature = t;
      filtered.top_p = 0.5;
      filtered.min_p = 0.1;
      filtered.top_k = 3;
      for (int i = 0; i < 50; ++i) {
        // 1e-30 / 1e-30 = 1 is no limit yet.
        if (z[1] != 1e-30F || t < 1e-33) {
          ASSERT_EQ(draw(z, s, i), 1) << t;
        }
        ASSERT_LT(draw(z, filtered, i), 3) << t;
      }
    }
    for (const double t : {1e30, 1e39, 1e300, std::numeric_limits<double>::max()}) {
      SamplingSettings s;
      s.temperature = t;
      std::vector<int> counts(4);
      for (int i = 0; i < 4000; ++i) ++counts[static_cast<std::size_t>(draw(z, s, i))];
      for (const int n : counts) EXPECT_NEAR(n, 1000, 140) << t;  // five standard deviations
    }
  }
  // What the model rules out stays out.
  SamplingSettings s;
  for (const double t : {1e-40, 1.5, 1e300}) {
    s.temperature = t;
    for (int i = 0; i < 50; ++i)
      ASSERT_EQ(draw({-std::numeric_limits<float>::infinity(), 2, -std::numeric_limits<float>::infinity()}, s, i), 1);
  }
}

TEST(Sampler, DamagedLogitsAreAnError) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const std::vector<float>& damaged : {std::vector<float>{1, std::nanf("")}, {1, inf}, {-inf, -inf}}) {
    for (const double t : {0.0, 1.0}) {
      SamplingSettings s;
      s.temperature = t;
      std::vector<float> z = damaged;
      EXPECT_THROW(sample(z, s, {}, 7), Error);
    }
  }
}

TEST(Sampler, SettingsOutOfRangeAreNamed) {
  const auto message = [](const std::function<void(SamplingSettings&)>& change) -> std::string {
    SamplingSettings s;
    change(s);
    try {
      s.check();
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  const double nan = std::nan("");
  for (const double v : {-0.1, nan, std::numeric_limits<double>::infinity()})
    EXPECT_NE(message([v](auto& s) { s.temperature = v; }).find("temperature"), std::string::npos) << v;
  for (const double v : {-1e-9, -1.0, 1.01, nan})
    EXPECT_NE(message([v](auto& s) { s.top_p = v; }).find("top-p"), std::string::npos) << v;
  for (const double v : {-0.1, 1.01, nan})
    EXPECT_NE(message([v](auto& s) { s.min_p = v; }).find("min-p"), std::string::npos) << v;
  for (const double v : {0.0, -1.0, 1e-40, 1e40, nan, std::numeric_limits<double>::infinity()})
    EXPECT_NE(message([v](auto& s) { s.repetition_penalty = v; }).find("repetition"), std::string::npos) << v;
  EXPECT_NE(message([](auto& s) { s.top_k = -1; }).find("top-k"), std::string::npos);
  EXPECT_EQ(message([](auto&) {}), "");
}

}  // namespace
}  // namespace hadal::engine
