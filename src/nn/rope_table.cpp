#include "nn/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace hadal::nn {

namespace {

double yarn_frequency(const RopeSettings& s, double f, std::int64_t i) {
  const auto dim = static_cast<double>(s.dim);
  const auto correction = [&](double rotations) {
    return dim * std::log(static_cast<double>(s.original_positions) / (2 * std::numbers::pi * rotations)) /
           (2 * std::log(s.theta));
  };
  const double low = std::max(std::floor(correction(s.beta_fast)), 0.0);
  double high = std::min(std::ceil(correction(s.beta_slow)), dim - 1);
  if (low == high) high += 0.001;
  const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
  return f * (1 - ramp) + f / s.factor * ramp;
}

double llama3_frequency(const RopeSettings& s, double f) {
  const double wavelength = 2 * std::numbers::pi / f, original = static_cast<double>(s.original_positions);
  if (wavelength > original / s.low_freq_factor) return f / s.factor;
  if (wavelength < original / s.high_freq_factor) return f;
  const double z = (original / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  return (1 - z) * f / s.factor + z * f;
}

}  // namespace

double yarn_mscale(double factor, double mscale) { return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0; }

std::vector<double> inverse_frequencies(const RopeSettings& s) {
  std::vector<double> result;
  for (std::int64_t i = 0; i < s.dim / 2; ++i) {
    const double f = std::pow(s.theta, -2.0 * static_cast<double>(i) / static_cast<double>(s.dim));
    switch (s.scaling) {
      case RopeSettings::Scaling::none:
        result.push_back(f);
        break;
      case RopeSettings::Scaling::yarn:
        result.push_back(yarn_frequency(s, f, i));
        break;
      case RopeSettings::Scaling::llama3:
        result.push_back(llama3_frequency(s, f));
        break;
    }
  }
  return result;
}

ops::RopeTable rope_table(const RopeSettings& s, std::int64_t positions) {
  const std::vector<double> f = inverse_frequencies(s);
  const auto half = static_cast<std::int64_t>(f.size());
  const double m = s.scaling == RopeSettings::Scaling::yarn
                       ? yarn_mscale(s.factor, s.mscale) / yarn_mscale(s.factor, s.mscale_all_dim)
                       : 1.0;
  ops::RopeTable t{Tensor::empty({positions, half}, DType::f32), Tensor::empty({positions, half}, DType::f32),
                   s.interleaved};
  for (std::int64_t p = 0; p < positions; ++p) {
    for (std::int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(p) * f[static_cast<std::size_t>(i)];
      t.cos.data<float>()[p * half + i] = static_cast<float>(std::cos(angle) * m);
      t.sin.data<float>()[p * half + i] = static_cast<float>(std::sin(angle) * m);
    }
  }
  return t;
}

}  // namespace hadal::nn
