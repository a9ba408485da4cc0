// What the reference kernels share: element access by dtype, the fixed orders of sums, the one exp.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/error.h"
#include "kernels/kernels.h"

namespace hadal::kernels::ref {

inline float get(const void* p, i64 i, DType dtype) {
  return dtype == DType::bf16 ? static_cast<float>(static_cast<const bf16*>(p)[i]) : static_cast<const float*>(p)[i];
}
inline void put(void* p, i64 i, DType dtype, float v) {
  if (dtype == DType::bf16) {
    static_cast<bf16*>(p)[i] = bf16(v);
  } else {
    static_cast<float*>(p)[i] = v;
  }
}

// Sixteen partial sums, element c to partial c mod 16, then lanes 8, 4, 2, 1 apart.
class Sum16 {
 public:
  void add_product(i64 c, float a, float b) { lane_[c & 15] = std::fma(a, b, lane_[c & 15]); }
  void add(i64 c, float a) { lane_[c & 15] += a; }
  float total() const {
    float t[16];
    for (int i = 0; i < 16; ++i) t[i] = lane_[i];
    for (int apart = 8; apart > 0; apart /= 2) {
      for (int i = 0; i < apart; ++i) t[i] += t[i + apart];
    }
    return t[0];
  }

 private:
  float lane_[16] = {};
};

// The same polynomial as cpu/vec.h, operation for operation.
inline float exp(float x) {
  if (x < -87.3f) return 0.0f;
  const float clamped = x > 88.0f ? 88.0f : x;
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
  return std::ldexp(p, static_cast<int>(n));
}

inline float sigmoid(float x) { return 1.0f / (1.0f + exp(-x)); }

// The dot product contract (docs/numerics.md): a(i), b(i) give element i of each operand.
template <class A, class B>
float dot(i64 k, i64 chunk, bool pairs, const A& a, const B& b) {
  float acc = 0;
  for (i64 begin = 0; begin < k; begin += chunk) {
    const i64 end = begin + chunk < k ? begin + chunk : k;
    float s = 0;
    if (pairs) {
      for (i64 i = begin; i < end; i += 2) {
        s = i + 1 < end ? std::fma(a(i + 1), b(i + 1), s) : std::fma(0.0f, 0.0f, s);
        s = std::fma(a(i), b(i), s);
      }
    } else {
      for (i64 i = begin; i < end; ++i) s = std::fma(a(i), b(i), s);
    }
    acc = s + acc;
  }
  return acc;
}

}  // namespace hadal::kernels::ref
