// One row of A against a packed weight (packed.h). A column's sum is one chain of dependent products, so what is
// multiplied at one time must be many columns: strands of 32, each with its own row of A, from different places of a
// weight or from different weights of one k. Sums as in product_of_panels, to the bit.
#pragma once

#include "kernels/cpu/stream.h"

namespace hadal::kernels::HADAL_ISA_NS {

constexpr i64 kStrandVectors = 2, kStrandColumns = kStrandVectors * kLanes;
#ifdef __AVX512F__
constexpr int kStrands = 8;  // at one time: their sums are in registers
#else
constexpr int kStrands = 2;
#endif
constexpr i64 kStrandsAhead = 16384;  // bytes asked for before they are used

struct Strand {
  const float* a;  // packed row of A
  const float* b;  // its columns of word 0
  i64 line;        // from a word of the columns to the next, in words
};

inline void ask_for_word(const Strand& s, i64 w) {
  const auto* line = reinterpret_cast<const char*>(s.b + w * s.line);
  for (i64 v = 0; v < kStrandVectors; ++v) _mm_prefetch(line + v * 64, _MM_HINT_T0);
}

// How many words of n strands are asked for ahead.
constexpr i64 words_ahead(i64 n) { return kStrandsAhead / (n * kStrandVectors * 64); }

// Sums of kCount strands to tile (kCount, kStrandColumns). next: kCount strands whose beginnings are asked for as these
// end, of which next_count exist.
template <class T, int kCount>
void multiply_strands(const Strand* strands, const Strand* next, int next_count, i64 k, i64 chunk, float* tile) {
  constexpr i64 kElements = is_bf16<T> ? 2 : 1;
  Strand own[kCount];
  std::copy_n(strands, kCount, own);
  const i64 words = blocks_of(k, kElements), ahead = std::min(words, words_ahead(kCount));
  if (k == 0) std::fill_n(tile, kCount * kStrandColumns, 0.0f);
  for (i64 begin = 0; begin < k; begin += chunk) {
    const i64 first = begin / kElements, end = blocks_of(std::min(k, begin + chunk), kElements);
    F32x16 sum[kCount][kStrandVectors];
    for (auto& of_strand : sum) {
      for (F32x16& x : of_strand) x = zero();
    }
    const auto word = [&](i64 w) {
      for (int s = 0; s < kCount; ++s) {
        for (i64 v = 0; v < kStrandVectors; ++v) {
          sum[s][v] = stream_step<T>(sum[s][v], own[s].a, w, load(own[s].b + w * own[s].line + v * kLanes));
        }
      }
    };
    i64 w = first;
    for (; w < std::min(end, words - ahead); ++w) {
      for (int s = 0; s < kCount; ++s) ask_for_word(own[s], w + ahead);
      word(w);
    }
    for (; w < end; ++w) {
      for (int s = 0; s < next_count; ++s) ask_for_word(next[s], w + ahead - words);
      word(w);
    }
    for (int s = 0; s < kCount; ++s) {
      for (i64 v = 0; v < kStrandVectors; ++v) {
        float* to = tile + s * kStrandColumns + v * kLanes;
        store(to, begin == 0 ? sum[s][v] : sum[s][v] + load(to));
      }
    }
  }
}

template <class T>
void multiply_strands(std::span<const Strand> strands, std::span<const Strand> next, i64 k, i64 chunk, float* tile) {
  const auto run = [&]<int kCount>() {
    multiply_strands<T, kCount>(strands.data(), next.data(),
                                static_cast<int>(std::min<std::size_t>(kCount, next.size())), k, chunk, tile);
  };
  const auto pick = [&]<int... kNumber>(std::integer_sequence<int, kNumber...>) {
    ((static_cast<int>(strands.size()) == kNumber + 1 ? run.template operator()<kNumber + 1>() : void()), ...);
  };
  run_products<is_bf16<T>>([&] { pick(std::make_integer_sequence<int, kStrands>()); });
}

}  // namespace hadal::kernels::HADAL_ISA_NS
