// E4M3 and E5M6 from their definitions: lists of all numbers, and the nearest of a list found by looking at each. Slow,
// and on purpose not the way of base/types.h or of the kernels.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace hadal::test {

// Sizes of a format with `exponents` values of the exponent field, `bits` after the point and this bias, in rising
// order; the last `left_out` of them are no numbers. The place of a size in the list is its code.
inline std::vector<double> sizes_of_format(int exponents, int bits, int bias, std::size_t left_out) {
  std::vector<double> sizes;
  for (int e = 0; e < exponents; ++e) {
    for (int m = 0; m < 1 << bits; ++m) {
      const double fraction = std::ldexp(m, -bits);
      sizes.push_back(e == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, e - bias));
    }
  }
  sizes.resize(sizes.size() - left_out);
  return sizes;
}
inline const std::vector<double>& e4m3_sizes() {
  static const std::vector<double> sizes = sizes_of_format(16, 3, 7, 1);
  return sizes;
}
inline const std::vector<double>& e5m6_sizes() {
  static const std::vector<double> sizes = sizes_of_format(31, 6, 15, 0);
  return sizes;
}

// The number of the list that is nearest to x; of two, the one with the even code. Beyond the list: its last.
inline double nearest(const std::vector<double>& sizes, double x) {
  if (std::isnan(x)) return x;
  std::size_t best = 0;
  for (std::size_t code = 1; code < sizes.size(); ++code) {
    const double here = std::abs(std::abs(x) - sizes[code]), there = std::abs(std::abs(x) - sizes[best]);
    if (here < there || (here == there && code % 2 == 0)) best = code;
  }
  return std::copysign(sizes[best], x);
}

// The scale of a tile whose largest size is amax, for a format that ends at `most`.
inline float expected_scale(double amax, double most, bool power) {
  const float s = std::max(static_cast<float>(amax) / static_cast<float>(most), std::numeric_limits<float>::min());
  if (!power) return s;
  double p = std::numeric_limits<float>::min();
  while (p < s) p *= 2;
  return static_cast<float>(p);
}

}  // namespace hadal::test
