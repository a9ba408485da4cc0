// The scalar twin of cpu/vec.h's exp: the same operations in the same order, so that every path gives the same bits.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace hadal::kernels::ref {

inline float exp(float x) {
  float clamped = -87.3f > x ? -87.3f : x;  // this operand order lets NaN through
  clamped = 88.0f < clamped ? 88.0f : clamped;
  const float n = std::nearbyint(clamped * 1.44269504f);
  float r = std::fma(n, -0.693359375f, clamped);
  r = std::fma(n, 2.12194440e-4f, r);
  float p = 1.9875691500e-4f;
  p = std::fma(p, r, 1.3981999507e-3f);
  p = std::fma(p, r, 8.3334519073e-3f);
  p = std::fma(p, r, 4.1665795894e-2f);
  p = std::fma(p, r, 1.6666665459e-1f);
  p = std::fma(p, r, 5.0000001201e-1f);
  p = std::fma(p, r * r, r) + 1.0f;
  if (x < -87.3f) return 0.0f;
  if (n != n) return n;
  return p * std::bit_cast<float>(static_cast<std::uint32_t>(static_cast<std::int32_t>(n) + 127) << 23);
}

inline double exp(double x) { return std::exp(x); }

}  // namespace hadal::kernels::ref
