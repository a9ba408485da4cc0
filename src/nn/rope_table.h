// The one builder of RoPE tables: plain, DeepSeek's YaRN, Llama-3's scaling (SPEC §1.5, §1.6).
#pragma once

#include <vector>

#include "ops/rope.h"

namespace hadal::nn {

struct RopeSettings {
  enum class Scaling : std::uint8_t { none, yarn, llama3 } scaling = Scaling::none;
  std::int64_t dim = 0;
  double theta = 10000, factor = 1;
  std::int64_t original_positions = 4096;
  double beta_fast = 32, beta_slow = 1, mscale = 1, mscale_all_dim = 0;
  double low_freq_factor = 1, high_freq_factor = 4;
  bool interleaved = true;
};

std::vector<double> inverse_frequencies(const RopeSettings& settings);  // (dim / 2)
// m(s, k) = 0.1 k ln s + 1 for s > 1, else 1.
double yarn_mscale(double factor, double mscale);
// cos and sin of positions [0, positions), f32, times m(s, mscale) / m(s, mscale_all_dim) for YaRN.
ops::RopeTable rope_table(const RopeSettings& settings, std::int64_t positions);

}  // namespace hadal::nn
