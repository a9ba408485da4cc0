// Rounding of sixteen floats to the few bits of E4M3 and E5M6, and the scales of their tiles; ref/fp8.cpp is the
// definition.
#pragma once

#include <bit>

#include "kernels/cpu/lanes.h"
#include "kernels/fp8.h"

namespace hadal::kernels::HADAL_ISA_NS {

// The bits of x that are set in `mask`; the bits of either.
#ifdef __AVX512F__
inline F32x16 keep_bits(F32x16 x, std::uint32_t mask) {
  return {_mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(x.v), _mm512_set1_epi32(static_cast<int>(mask))))};
}
inline F32x16 either_bits(F32x16 a, F32x16 b) {
  return {_mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(a.v), _mm512_castps_si512(b.v)))};
}
#else
inline F32x16 keep_bits(F32x16 x, std::uint32_t mask) {
  const __m256 m = _mm256_set1_ps(std::bit_cast<float>(mask));
  return {_mm256_and_ps(x.lo, m), _mm256_and_ps(x.hi, m)};
}
inline F32x16 either_bits(F32x16 a, F32x16 b) { return {_mm256_or_ps(a.lo, b.lo), _mm256_or_ps(a.hi, b.hi)}; }
#endif

inline F32x16 size_of(F32x16 x) { return keep_bits(x, 0x7fffffffu); }
inline F32x16 power_below(F32x16 x) { return keep_bits(x, 0x7f800000u); }  // 2^floor(log2 x) of a normal x > 0

// Larger of amax and |x|; NaN is passed over.
inline F32x16 see(F32x16 amax, F32x16 x) { return max(size_of(x), amax); }

// To the nearest number with kBits after the point, ties to even, exponents from that of `least` up, sizes up to
// `most`. Adding 1.5 * 2^(23 - kBits) times the number's own power of two leaves just those bits.
template <int kBits>
inline F32x16 round_bits(F32x16 x, float least, float most) {
  const F32x16 size = min(set1(most), size_of(x));  // this operand order lets NaN through
  const F32x16 magic = max(set1(least), power_below(size)) * set1(1.5f * static_cast<float>(1 << (23 - kBits)));
  return either_bits((size + magic) - magic, keep_bits(x, 0x80000000u));
}
inline F32x16 round_e4m3(F32x16 x) { return round_bits<3>(x, 0x1p-6f, e4m3::kMost); }

constexpr float kE5m6Most = 65024.0f;
inline F32x16 round_to_e5m6(F32x16 x) { return round_bits<6>(x, 0x1p-14f, kE5m6Most); }

inline F32x16 tile_scale(F32x16 amax, float most, bool power) {
  const F32x16 s = max(amax / set1(most), set1(0x1p-126f));
  if (!power) return s;
  const F32x16 below = power_below(s);
  return select_less(below, s, below + below, below);
}

}  // namespace hadal::kernels::HADAL_ISA_NS
