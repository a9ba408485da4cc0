// What the reference kernels share: element access by dtype, the fixed orders of sums, the one exp.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "kernels/flush.h"
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

// Rows of storage as numbers that are computed with, and back with one rounding.
inline std::vector<float> read_row(const void* p, i64 first, i64 n, DType dtype) {
  std::vector<float> row(static_cast<std::size_t>(n));
  for (i64 i = 0; i < n; ++i) row[static_cast<std::size_t>(i)] = get(p, first + i, dtype);
  return row;
}
inline void write_row(void* p, i64 first, const std::vector<float>& row, DType dtype) {
  for (const float v : row) put(p, first++, dtype, v);
}

// Sixteen partial sums, element c to partial c mod 16, then lanes 8, 4, 2, 1 apart.
template <class N>
class PartialSums {
 public:
  void add_product(i64 c, N a, N b) { lane_[c & 15] = std::fma(a, b, lane_[c & 15]); }
  void add(i64 c, N a) { lane_[c & 15] += a; }
  N total() const {
    N t[16];
    for (int i = 0; i < 16; ++i) t[i] = lane_[i];
    for (int apart = 8; apart > 0; apart /= 2) {
      for (int i = 0; i < apart; ++i) t[i] += t[i + apart];
    }
    return t[0];
  }

 private:
  N lane_[16] = {};
};

// The same polynomial as cpu/vec.h, operation for operation.
inline float exp(float x) {
  if (std::isnan(x)) return x;
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
inline double exp(double x) { return std::exp(x); }

template <class N>
N sigmoid(N x) {
  return N(1) / (N(1) + exp(-x));
}

// The dot product contract (docs/numerics.md): a(i), b(i) give element i of each operand.
template <class A, class B>
float dot(i64 k, i64 chunk, bool pairs, const A& a, const B& b) {
  float acc = 0;
  const auto sums = [&] {
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
  };
  if (pairs) {
    flushing(sums);
  } else {
    sums();
  }
  return acc;
}

}  // namespace hadal::kernels::ref
