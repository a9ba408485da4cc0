// RoPE tables against reference values of every rope.* tensor of tests/data/losses (SPEC §1.5, §1.6).
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "io/safetensors.h"
#include "model/build.h"

namespace hadal::model {
namespace {

Config llama31() {
  Config c;
  c.family = Family::llama;
  c.head_dim = 128;
  c.rope_theta = 500000;
  c.rope.type = RopeScaling::Type::llama3;
  c.rope.factor = 8;
  c.rope.original_max_position_embeddings = 8192;
  c.rope.low_freq_factor = 1;
  c.rope.high_freq_factor = 4;
  return c;
}

TEST(Rope, FrequenciesAndScalesEqualTheReferences) {
  const std::map<std::string, Config> configs = {
      {"v3", preset("v3")}, {"v2_lite", preset("v2-lite")}, {"moonlight", preset("moonlight")}, {"llama31", llama31()}};
  const io::Safetensors file = io::Safetensors::open(HADAL_TEST_DATA "/losses/losses.safetensors");
  int frequencies = 0, scales = 0;
  for (const std::string& name : file.names()) {
    if (!name.starts_with("rope.")) continue;
    SCOPED_TRACE(name);
    const std::size_t dot = name.find('.', 5);
    const Config& c = configs.at(name.substr(5, dot - 5));
    const Tensor want = file.tensor(name);
    if (name.substr(dot + 1) == "softmax_scale") {
      EXPECT_NEAR(c.softmax_scale(), want.data<double>()[0], 1e-15);
      ++scales;
      continue;
    }
    ASSERT_EQ(name.substr(dot + 1), "inv_freq");
    const std::vector<double> got = nn::inverse_frequencies(rope_settings(c));
    ASSERT_EQ(static_cast<std::int64_t>(got.size()), want.numel());
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want.data<double>()[i], 1e-15 * got[i]) << i;
    ++frequencies;
  }
  EXPECT_EQ(frequencies, 4);
  EXPECT_EQ(scales, 3);
}

// Position p, pair i: cos and sin of p f_i, rounded once. YaRN's factor on them is 1 where mscale equals
// mscale_all_dim.
TEST(Rope, TablesHoldTheAngles) {
  for (const Config& c : {preset("v3"), preset("moonlight"), llama31()}) {
    const nn::RopeSettings s = rope_settings(c);
    const std::vector<double> f = nn::inverse_frequencies(s);
    const ops::RopeTable t = nn::rope_table(s, 300);
    EXPECT_EQ(t.interleaved, c.is_mla());
    ASSERT_EQ(t.cos.shape(), (Shape{300, static_cast<std::int64_t>(f.size())}));
    for (const std::int64_t p : {0, 1, 299}) {
      for (std::size_t i = 0; i < f.size(); ++i) {
        const std::int64_t at = p * static_cast<std::int64_t>(f.size()) + static_cast<std::int64_t>(i);
        EXPECT_FLOAT_EQ(t.cos.data<float>()[at], static_cast<float>(std::cos(static_cast<double>(p) * f[i])));
        EXPECT_FLOAT_EQ(t.sin.data<float>()[at], static_cast<float>(std::sin(static_cast<double>(p) * f[i])));
      }
    }
  }
}

// With mscale_all_dim 0, the whole of m is on cos and sin (V2's early configs), and the scale of the scores is plain.
TEST(Rope, MscaleOnTheTable) {
  Config c = preset("v3");
  c.rope.mscale = 1;
  c.rope.mscale_all_dim = 0;
  EXPECT_DOUBLE_EQ(c.softmax_scale(), 1 / std::sqrt(192.0));
  EXPECT_FLOAT_EQ(nn::rope_table(rope_settings(c), 1).cos.data<float>()[0], 1.3688879454F);
}

}  // namespace
}  // namespace hadal::model
