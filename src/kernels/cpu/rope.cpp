// Rotary embedding; ref/rope.h is the definition.
#include "kernels/cpu/lanes.h"
#include "kernels/declare.h"
#include "kernels/kernels.h"

namespace hadal::kernels::HADAL_ISA_NS {

HADAL_KERNELS(HADAL_DECLARE)

namespace {

#ifdef __AVX512F__
// (b, a) for every pair (a, b).
inline F32x16 swap_pairs(F32x16 x) { return {_mm512_permute_ps(x.v, 0xB1)}; }
// p[0], p[0], p[1], p[1], ... for the first n <= 8 of p; the rest is 0.
inline F32x16 twice(const float* p, int n) {
  const __m512i index = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  return {_mm512_permutexvar_ps(index, _mm512_maskz_loadu_ps(first_lanes(n), p))};
}
#else
inline F32x16 swap_pairs(F32x16 x) { return {_mm256_permute_ps(x.lo, 0xB1), _mm256_permute_ps(x.hi, 0xB1)}; }
inline F32x16 twice(const float* p, int n) {
  const __m256 v = _mm256_maskload_ps(p, first_lanes8(n));
  const __m256 a = _mm256_unpacklo_ps(v, v), b = _mm256_unpackhi_ps(v, v);
  return {_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31)};
}
#endif
inline F32x16 twice(const float* p, Whole) { return twice(p, kLanes / 2); }
inline F32x16 twice(const float* p, First lanes) { return twice(p, lanes.n / 2); }

constexpr float kMinusPlus[kLanes] = {-1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1};

template <class T>
void rotate_interleaved(i64 rot, bool inverse, const T* x, const float* cosine, const float* sine, T* y) {
  const F32x16 sign = load(kMinusPlus) * set1(inverse ? -1.0f : 1.0f);
  for_lanes(rot, [&](i64 i, auto lanes) {
    const F32x16 v = load(x + i, lanes);
    store(y + i, fma(v, twice(cosine + i / 2, lanes), swap_pairs(v) * (twice(sine + i / 2, lanes) * sign)), lanes);
  });
}

template <class T>
void rotate_halves(i64 half, bool inverse, const T* x, const float* cosine, const float* sine, T* y) {
  const F32x16 sign = set1(inverse ? -1.0f : 1.0f);
  for_lanes(half, [&](i64 i, auto lanes) {
    const F32x16 a = load(x + i, lanes), b = load(x + half + i, lanes);
    const F32x16 c = load(cosine + i, lanes), s = load(sine + i, lanes) * sign;
    store(y + i, fma(a, c, b * negative(s)), lanes);
    store(y + half + i, fma(b, c, a * s), lanes);
  });
}

}  // namespace

void rope(const Context& cx, const Rope& p) {
  with_type(p.act, [&](auto type) {
    using T = decltype(type);
    run_blocks(cx, p.rows, p.heads * p.rot, [&](i64 begin, i64 end, int) {
      for (i64 r = begin; r < end; ++r) {
        const float* cosine = p.cos + p.positions[r] * (p.rot / 2);
        const float* sine = p.sin + p.positions[r] * (p.rot / 2);
        for (i64 h = 0; h < p.heads; ++h) {
          const T* x = static_cast<const T*>(p.x) + r * p.x_row + h * p.x_head;
          T* y = static_cast<T*>(p.y) + r * p.y_row + h * p.y_head;
          if (p.interleaved) {
            rotate_interleaved(p.rot, p.inverse, x, cosine, sine, y);
          } else {
            rotate_halves(p.rot / 2, p.inverse, x, cosine, sine, y);
          }
        }
      }
    });
  });
}

}  // namespace hadal::kernels::HADAL_ISA_NS
