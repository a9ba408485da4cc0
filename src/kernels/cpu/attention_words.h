// Operands of attention's products as 32-bit words along k, so that one product serves every dtype and ISA:
//   f32                          a word is one element
//   bf16, AVX-512 BF16           a word is a pair (2j low, 2j+1 high), as VDPBF16PS takes it
//   bf16 elsewhere               a word is one widened element, the odd element of each pair first: the order of the
//                                dot product contract with plain fma
// Elements that do not exist count as 0. Words are kept in float buffers; only their bits matter.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/cpu/vec.h"
#include "kernels/kernels.h"

namespace hadal::kernels::HADAL_ISA_NS {

#ifdef __AVX512BF16__
inline constexpr bool kNativeBf16 = true;
#else
inline constexpr bool kNativeBf16 = false;
#endif
// Vectors of sixteen columns in one panel of a right operand.
#ifdef __AVX512F__
inline constexpr i64 kPanelVectors = 4;
#else
inline constexpr i64 kPanelVectors = 1;
#endif
inline constexpr i64 kPanel = kPanelVectors * kLanes;

template <class T>
inline constexpr bool is_bf16 = std::is_same_v<T, bf16>;
template <class T>
inline constexpr bool pair_words = is_bf16<T> && kNativeBf16;
template <class T>
inline constexpr i64 word_elements = pair_words<T> ? 2 : 1;

template <class T>
inline constexpr bool is_pairs_or_f32 = pair_words<T> || !is_bf16<T>;

constexpr float kLeastNormal = 0x1p-126f;

constexpr i64 padded(i64 n) { return (n + kLanes - 1) / kLanes * kLanes; }

// Words that k elements take: whole pairs for bf16.
template <class T>
constexpr i64 words(i64 k) {
  return is_bf16<T> ? (k + 1) / 2 * (2 / word_elements<T>) : k;
}

// A row that is the concatenation of two pieces (the key: per head, then shared).
template <class T>
struct Row {
  const T* a = nullptr;
  i64 na = 0;
  const T* b = nullptr;
  i64 nb = 0;

  i64 size() const { return na + nb; }
  // n elements from column c on, out of one piece if possible, else through `room`.
  const T* at(i64 c, i64 n, T* room) const {
    if (c + n <= na) return a + c;
    if (c >= na) return b + (c - na);
    const i64 first = std::min(na - c, n);
    std::memcpy(room, a + c, static_cast<std::size_t>(first) * sizeof(T));
    std::memcpy(room + first, b, static_cast<std::size_t>(n - first) * sizeof(T));
    return room;
  }
  // Asks for the cache line that holds column c, if there is such a column.
  void ask_for(i64 c) const {
    if (c < size()) __builtin_prefetch(c < na ? a + c : b + (c - na), 0, 2);
  }
};

// Rows that are asked for before they are packed: the hardware foresees a stream or two, and not the next row of a
// narrow piece (docs/LOG.md: packing reads memory 1.5 to 2 times as fast).
constexpr i64 kRowsAhead = 16;

// Row i of `count`, or one of no columns past their end.
template <class T, class RowOf>
Row<T> row_or_none(RowOf&& row, i64 i, i64 count) {
  return i < count ? row(i) : Row<T>{};
}

// The elements of sixteen pairs of bf16, widened.
#ifdef __AVX512F__
inline F32x16 even_of_pairs(F32x16 x) { return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(x.v), 16))}; }
inline F32x16 odd_of_pairs(F32x16 x) {
  return {_mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(x.v), _mm512_set1_epi32(-65536)))};
}
// Pairs of the first n <= 16 elements of two rows; odd may be null for zeros.
inline F32x16 pairs_of(const bf16* even, const bf16* odd, int n) {
  const __m512i e = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first_lanes(n), even));
  if (odd == nullptr) return {_mm512_castsi512_ps(e)};
  const __m512i o = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first_lanes(n), odd));
  return {_mm512_castsi512_ps(_mm512_or_si512(e, _mm512_slli_epi32(o, 16)))};
}
#else
inline F32x16 even_of_pairs(F32x16 x) {
  const auto half = [](__m256 h) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(h), 16)); };
  return {half(x.lo), half(x.hi)};
}
inline F32x16 odd_of_pairs(F32x16 x) {
  const __m256 mask = _mm256_castsi256_ps(_mm256_set1_epi32(-65536));
  return {_mm256_and_ps(x.lo, mask), _mm256_and_ps(x.hi, mask)};
}
inline F32x16 pairs_of(const bf16* even, const bf16* odd, int n) {
  const auto low = [](__m256 x) { return _mm256_castsi256_ps(_mm256_srli_epi32(_mm256_castps_si256(x), 16)); };
  const F32x16 e = n == kLanes ? load(even) : load_n(even, n);
  if (odd == nullptr) return {low(e.lo), low(e.hi)};
  const F32x16 o = n == kLanes ? load(odd) : load_n(odd, n);
  return {_mm256_or_ps(low(e.lo), o.lo), _mm256_or_ps(low(e.hi), o.hi)};
}
#endif

#ifdef __AVX512F__

inline F32x16 swap_pairs(F32x16 x) { return {_mm512_permute_ps(x.v, 0xB1)}; }

inline void transpose(F32x16 (&r)[16]) {
  __m512 t[16], u[16];
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_ps(r[2 * i].v, r[2 * i + 1].v);
    t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i].v, r[2 * i + 1].v);
  }
  const auto low = [](__m512 x, __m512 y) {
    return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(x), _mm512_castps_pd(y)));
  };
  const auto high = [](__m512 x, __m512 y) {
    return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(x), _mm512_castps_pd(y)));
  };
  for (int i = 0; i < 16; i += 4) {
    u[i] = low(t[i], t[i + 2]);
    u[i + 1] = high(t[i], t[i + 2]);
    u[i + 2] = low(t[i + 1], t[i + 3]);
    u[i + 3] = high(t[i + 1], t[i + 3]);
  }
  for (int c = 0; c < 4; ++c) {
    const __m512 a = _mm512_shuffle_f32x4(u[c], u[4 + c], 0x44), b = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0x44);
    const __m512 d = _mm512_shuffle_f32x4(u[c], u[4 + c], 0xEE), e = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0xEE);
    r[c].v = _mm512_shuffle_f32x4(a, b, 0x88);
    r[4 + c].v = _mm512_shuffle_f32x4(a, b, 0xDD);
    r[8 + c].v = _mm512_shuffle_f32x4(d, e, 0x88);
    r[12 + c].v = _mm512_shuffle_f32x4(d, e, 0xDD);
  }
}

// Words of pairs: n in [0, 32] elements of one row; and the pairs that two rows make, column by column.
inline F32x16 load_pairs(const bf16* p, i64 n) {
  const __mmask32 mask = n >= 32 ? ~__mmask32(0) : (__mmask32(1) << n) - 1;
  return {_mm512_castsi512_ps(_mm512_maskz_loadu_epi16(mask, p))};
}
// The pairs of the first and of the last sixteen columns of two rows of 32 elements.
inline F32x16 interleave_low(F32x16 even, F32x16 odd) {
  alignas(64) static constexpr std::uint16_t kOrder[32] = {0,  32, 1,  33, 2,  34, 3,  35, 4,  36, 5,
                                                           37, 6,  38, 7,  39, 8,  40, 9,  41, 10, 42,
                                                           11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
  return {_mm512_castsi512_ps(
      _mm512_permutex2var_epi16(_mm512_castps_si512(even.v), _mm512_load_si512(kOrder), _mm512_castps_si512(odd.v)))};
}
inline F32x16 interleave_high(F32x16 even, F32x16 odd) {
  alignas(64) static constexpr std::uint16_t kOrder[32] = {16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21,
                                                           53, 22, 54, 23, 55, 24, 56, 25, 57, 26, 58,
                                                           27, 59, 28, 60, 29, 61, 30, 62, 31, 63};
  return {_mm512_castsi512_ps(
      _mm512_permutex2var_epi16(_mm512_castps_si512(even.v), _mm512_load_si512(kOrder), _mm512_castps_si512(odd.v)))};
}
inline F32x16 flush(F32x16 x) {
  const __mmask16 normal = _mm512_cmp_ps_mask(_mm512_abs_ps(x.v), _mm512_set1_ps(kLeastNormal), _CMP_NLT_UQ);
  return {_mm512_maskz_mov_ps(normal, x.v)};
}
// Rounded to bf16, a subnormal number to zero: for the product that reads it, which takes it as zero, too.
inline F32x16 round_for_product(F32x16 x) { return widen(narrow(flush(x))); }
#ifdef __AVX512BF16__
// The same by one instruction. 32 values in a row; and the pairs that two rows make.
inline F32x16 round_pairs(F32x16 low, F32x16 high) {
  return {std::bit_cast<__m512>(_mm512_cvtne2ps_pbh(high.v, low.v))};
}
inline F32x16 interleave_rounded(F32x16 even, F32x16 odd) {
  alignas(64) static constexpr std::uint16_t kOrder[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                           21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                           11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i both = std::bit_cast<__m512i>(_mm512_cvtne2ps_pbh(odd.v, even.v));
  return {_mm512_castsi512_ps(_mm512_permutexvar_epi16(_mm512_load_si512(kOrder), both))};
}
#else
F32x16 round_pairs(F32x16 low, F32x16 high);  // only where pairs are words
F32x16 interleave_rounded(F32x16 even, F32x16 odd);
#endif
#else

inline F32x16 swap_pairs(F32x16 x) { return {_mm256_permute_ps(x.lo, 0xB1), _mm256_permute_ps(x.hi, 0xB1)}; }

F32x16 round_pairs(F32x16 low, F32x16 high);  // only where pairs are words
F32x16 interleave_rounded(F32x16 even, F32x16 odd);
F32x16 interleave_low(F32x16 even, F32x16 odd);
F32x16 interleave_high(F32x16 even, F32x16 odd);
inline F32x16 round_for_product(F32x16 x) {
  const auto half = [](__m256 h) {
    const __m256 size = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), h);
    const __m256 normal = _mm256_cmp_ps(size, _mm256_set1_ps(kLeastNormal), _CMP_NLT_UQ);
    return widen8(narrow8(_mm256_and_ps(h, normal)));
  };
  return {half(x.lo), half(x.hi)};
}

inline void transpose8(__m256 (&r)[8]) {
  __m256 t[8], u[8];
  for (int i = 0; i < 4; ++i) {
    t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    u[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    u[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xEE);
    u[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    u[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
  }
  for (int c = 0; c < 4; ++c) {
    r[c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x20);
    r[4 + c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x31);
  }
}

inline void transpose(F32x16 (&r)[16]) {
  __m256 q[2][2][8];  // quarter (row half, column half)
  for (int i = 0; i < 16; ++i) {
    q[i / 8][0][i % 8] = r[i].lo;
    q[i / 8][1][i % 8] = r[i].hi;
  }
  for (auto& half : q) {
    for (auto& quarter : half) transpose8(quarter);
  }
  for (int i = 0; i < 16; ++i) r[i] = {q[0][i / 8][i % 8], q[1][i / 8][i % 8]};
}

#endif

// Sixteen words of a row, from word w on; words past the row's end are 0.
template <class T>
F32x16 load_words(const Row<T>& row, i64 w) {
  constexpr i64 kMany = kLanes * word_elements<T>;
  const i64 c = w * word_elements<T>, n = std::clamp<i64>(row.size() - c, 0, kMany);
  if (n == 0) return zero();
  T room[kMany];
  const T* p = row.at(c, n, room);
  if constexpr (pair_words<T>) {
    return load_pairs(p, n);
  } else {
    const F32x16 x = n == kLanes ? load(p) : load_n(p, static_cast<int>(n));
    return is_bf16<T> ? swap_pairs(x) : x;
  }
}

// Sixteen words that all exist, from p on.
template <class T>
F32x16 whole_words(const T* p) {
  if constexpr (pair_words<T>) {
    return load(reinterpret_cast<const float*>(p));
  } else {
    return is_bf16<T> ? swap_pairs(load(p)) : load(p);
  }
}

// Lane i holds first + i.
inline F32x16 lane_numbers(int first) {
  alignas(64) static constexpr float kNumbers[80] = {
      0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
      27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53,
      54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79};
  return load(kNumbers + first);
}

// 64 values of one row as the words of a left operand (rounded for bf16).
template <class T>
void store_row_words(float* to, const F32x16 (&x)[4]) {
  for (int v = 0; v < 4; ++v) {
    if constexpr (pair_words<T>) {
      if (v % 2 == 0) store(to + v / 2 * kLanes, round_pairs(x[v], x[v + 1]));
    } else {
      store(to + v * kLanes, is_bf16<T> ? swap_pairs(round_for_product(x[v])) : x[v]);
    }
  }
}

// Left operand: rows of padded(words(k)) words. row(i) gives row i.
template <class T, class RowOf>
void pack_left(i64 rows, i64 k, RowOf&& row, float* to) {
  const i64 stride = padded(words<T>(k));
  for (i64 i = 0; i < rows; ++i) {
    const Row<T> source = row(i), ahead = row_or_none<T>(row, i + kRowsAhead, rows);
    for (i64 w = 0; w < stride; w += kLanes) {
      ahead.ask_for(w * word_elements<T>);
      store(to + i * stride + w, load_words<T>(source, w));
    }
  }
}

// Right operands lie in panels of kPanel columns (the last one narrower, a multiple of 16); in a panel a line a word of
// k. Where a panel starts that holds column n of a right operand with `lines` lines; its width.
constexpr i64 panel_start(i64 n, i64 lines) { return n / kPanel * kPanel * lines; }
constexpr i64 panel_width(i64 n, i64 columns) { return std::min(kPanel, columns - n / kPanel * kPanel); }

// Right operand whose columns are given as rows: (k, n) = row(n)[k], n in [0, valid), zeros up to `columns` (padded).
template <class T, class RowOf>
void pack_transposed(i64 valid, i64 columns, i64 k, RowOf&& row, float* to) {
  const i64 lines = words<T>(k);
  for (i64 n = 0; n < columns; n += kLanes) {
    const i64 width = panel_width(n, columns);
    float* panel = to + panel_start(n, lines) + n % kPanel;
    for (i64 w = 0; w < lines; w += kLanes) {
      F32x16 block[16];
      for (i64 i = n + kRowsAhead; i < std::min(valid, n + kRowsAhead + kLanes); ++i)
        row(i).ask_for(w * word_elements<T>);
      for (int i = 0; i < 16; ++i) block[i] = n + i < valid ? load_words<T>(row(n + i), w) : zero();
      transpose(block);
      for (int i = 0; i < 16 && w + i < lines; ++i) store(panel + (w + i) * width, block[i]);
    }
  }
}

// Lines [line, end) of a right operand given by rows of k: (k, n) = row(k)[n], k in [0, valid), zeros for k in
// [valid, lines). A range of lines at a time reads whole rows, however many panels they fill.
template <class T, class RowOf>
void pack_lines(i64 line, i64 end, i64 valid, i64 k, i64 n_size, RowOf&& row, float* to) {
  const i64 lines = words<T>(k), columns = padded(n_size);
  const auto at = [&](i64 l, i64 n) { return to + panel_start(n, lines) + l * panel_width(n, columns) + n % kPanel; };
  T room[2][2 * kLanes];
  for (; line < end; ++line) {
    if constexpr (pair_words<T>) {
      const auto at_row = [&](i64 i) { return row_or_none<T>(row, 2 * line + i, valid); };
      const Row<T> even = at_row(0), odd = at_row(1), even_ahead = at_row(kRowsAhead),
                   odd_ahead = at_row(kRowsAhead + 1);
      for (i64 n = 0; n < columns; n += 2 * kLanes) {
        even_ahead.ask_for(n);
        odd_ahead.ask_for(n);
        const i64 count = std::min<i64>(2 * kLanes, n_size - n);
        const F32x16 e = even.size() > 0 ? load_pairs(even.at(n, count, room[0]), count) : zero(),
                     o = odd.size() > 0 ? load_pairs(odd.at(n, count, room[1]), count) : zero();
        store(at(line, n), interleave_low(e, o));
        if (n + kLanes < columns) store(at(line, n + kLanes), interleave_high(e, o));
      }
    } else {
      const i64 element = is_bf16<T> ? line ^ 1 : line;
      const Row<T> source = row_or_none<T>(row, element, valid),
                   ahead = row_or_none<T>(row, element + kRowsAhead, valid);
      for (i64 n = 0; n < columns; n += kLanes) {
        ahead.ask_for(n);
        const i64 count = std::min<i64>(kLanes, n_size - n);
        store(at(line, n), element < valid ? load_n(source.at(n, count, room[0]), static_cast<int>(count)) : zero());
      }
    }
  }
}

// All lines.
template <class T, class RowOf>
void pack_straight(i64 valid, i64 k, i64 n_size, RowOf&& row, float* to) {
  pack_lines<T>(0, words<T>(k), valid, k, n_size, row, to);
}

}  // namespace hadal::kernels::HADAL_ISA_NS
