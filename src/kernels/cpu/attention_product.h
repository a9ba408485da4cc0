// The product of attention: C(m, n) from A(m, word) and a packed right operand B(word, n), in the order of the dot
// product contract: s = +0, then fma over rising words. A word of A is broadcast against kLanes columns of B.
#pragma once

#include <bit>
#include <utility>

#include "kernels/cpu/attention_words.h"
#include "kernels/flush.h"

namespace hadal::kernels::HADAL_ISA_NS {

// What becomes of s: C = s, C = s + C, or C = fma(C, r_m, s).
enum class Into { store, add, rescale };

struct Left {
  const float* a;  // word (m, k) at m * row + k * word
  i64 row, word;
};
struct Right {
  const float* b;  // packed panels
  i64 lines;       // lines of a panel as packed
  i64 columns;     // as packed, a multiple of 16
};
struct Target {
  float* c;
  i64 row;
  const float* r = nullptr;  // per row, for Into::rescale
};

template <bool kPairs>
inline F32x16 step(F32x16 s, float a, F32x16 b) {
#ifdef __AVX512BF16__
  if constexpr (kPairs) {
    __m512i pair = _mm512_set1_epi32(std::bit_cast<int>(a));
#ifdef __clang__
    __asm__("" : "+v"(pair));  // clang-16 crashes on a broadcast that it sees as pairs of bf16
#endif
    return {_mm512_dpbf16_ps(s.v, std::bit_cast<__m512bh>(pair), std::bit_cast<__m512bh>(b.v))};
  }
#endif
  return fma(set1(a), b, s);
}

// kSum: row * kVectors + vector, so that the sums are registers from the start.
template <bool kPairs, Into kInto, int kVectors, int... kSum>
void product_sums(i64 lines, const float* a, i64 a_row, i64 a_word, const float* b, i64 b_line, const Target& to,
                  i64 row, i64 column, std::integer_sequence<int, kSum...>) {
  F32x16 s[sizeof...(kSum)] = {};
  for (i64 k = 0; k < lines; ++k, a += a_word, b += b_line) {
    F32x16 bv[kVectors];
    for (int v = 0; v < kVectors; ++v) bv[v] = load(b + v * kLanes);
    ((s[kSum] = step<kPairs>(s[kSum], a[kSum / kVectors * a_row], bv[kSum % kVectors])), ...);
  }
  const auto keep = [&](F32x16 sum, int m, int v) {
    float* c = to.c + (row + m) * to.row + column + v * kLanes;
    if constexpr (kInto == Into::add) sum = sum + load(c);
    if constexpr (kInto == Into::rescale) sum = fma(load(c), set1(to.r[row + m]), sum);
    store(c, sum);
  };
  (keep(s[kSum], kSum / kVectors, kSum % kVectors), ...);
}

template <bool kPairs, Into kInto, int kRows, int kVectors>
void product_block(i64 lines, const float* a, i64 a_row, i64 a_word, const float* b, i64 b_line, const Target& to,
                   i64 row, i64 column) {
  product_sums<kPairs, kInto, kVectors>(lines, a, a_row, a_word, b, b_line, to, row, column,
                                        std::make_integer_sequence<int, kRows * kVectors>());
}

#ifdef __AVX512F__
constexpr int max_rows(int vectors) { return 24 / vectors < 12 ? 24 / vectors : 12; }
#else
constexpr int max_rows(int) { return 6; }
#endif

template <bool kPairs, Into kInto, int kVectors>
using ProductBlock = void (*)(i64, const float*, i64, i64, const float*, i64, const Target&, i64, i64);

template <bool kPairs, Into kInto, int kVectors, std::size_t... kRows>
constexpr auto product_blocks(std::index_sequence<kRows...>) {
  struct Blocks {
    ProductBlock<kPairs, kInto, kVectors> of[sizeof...(kRows)];
  };
  return Blocks{{&product_block<kPairs, kInto, static_cast<int>(kRows) + 1, kVectors>...}};
}

// Words [first, first + lines) of k, for rows [row, row + rows) and the kVectors * 16 columns from `column` on.
template <bool kPairs, Into kInto, int kVectors>
void product_strips(i64 row, i64 rows, i64 first, i64 lines, const Left& a, const float* b, i64 b_line,
                    const Target& to, i64 column) {
  static constexpr auto kBlocks =
      product_blocks<kPairs, kInto, kVectors>(std::make_index_sequence<max_rows(kVectors)>());
  const i64 strips = (rows + max_rows(kVectors) - 1) / max_rows(kVectors);
  for (i64 i = 0, m = row; i < strips; ++i) {
    const i64 count = (row + rows - m) / (strips - i);  // even strips: a strip of one row waits for its own sums
    kBlocks.of[count - 1](lines, a.a + m * a.row + first * a.word, a.row, a.word, b + first * b_line, b_line, to, m,
                          column);
    m += count;
  }
}

// C rows [row, row + rows), all columns up to `columns` (a multiple of 16, at most b.columns), from words
// [first, first + lines) of k.
template <bool kPairs, Into kInto>
void product(i64 row, i64 rows, i64 columns, i64 first, i64 lines, const Left& a, const Right& b, const Target& to) {
  if (rows <= 0) return;
  for (i64 n = 0; n < columns; n += kPanel) {
    const float* panel = b.b + panel_start(n, b.lines);
    const i64 line = panel_width(n, b.columns);
    const i64 vectors = std::min(kPanel, columns - n) / kLanes;
    const auto strips = [&]<int kVectors>() {
      product_strips<kPairs, kInto, kVectors>(row, rows, first, lines, a, panel, line, to, n);
    };
    if constexpr (kPanelVectors == 4) {
      switch (vectors) {
        case 1:
          strips.template operator()<1>();
          break;
        case 2:
          strips.template operator()<2>();
          break;
        case 3:
          strips.template operator()<3>();
          break;
        default:
          strips.template operator()<4>();
          break;
      }
    } else {
      strips.template operator()<1>();
    }
  }
}

// As product(), of numbers of type T: the whole of it with the subnormals of T as they are to be taken.
template <class T, Into kInto>
void product_of(i64 row, i64 rows, i64 columns, i64 first, i64 lines, const Left& a, const Right& b, const Target& to) {
  run_products<is_bf16<T>>([&] { product<pair_words<T>, kInto>(row, rows, columns, first, lines, a, b, to); });
}

// The dot product contract over k elements: chunks of dot_chunk(k), each from +0.
template <class T>
void product_contract(i64 row, i64 rows, i64 columns, i64 k, const Left& a, const Right& b, const Target& to) {
  run_products<is_bf16<T>>([&] {
    const i64 chunk = dot_chunk(k);
    for (i64 begin = 0; begin < k; begin += chunk) {
      const i64 first = words<T>(begin), lines = words<T>(std::min(chunk, k - begin));
      if (begin == 0) {
        product<pair_words<T>, Into::store>(row, rows, columns, first, lines, a, b, to);
      } else {
        product<pair_words<T>, Into::add>(row, rows, columns, first, lines, a, b, to);
      }
    }
  });
}

}  // namespace hadal::kernels::HADAL_ISA_NS
