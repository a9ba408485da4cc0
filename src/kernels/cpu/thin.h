// Few rows of A against a weight (n, k): bound by reading the weight. 32 of its rows at a time (16 on AVX2), sixteen
// words of each are transposed into a buffer that stays in the nearest cache and used at once. Prefetches go in the
// order of addresses, which the hardware then sees coming, too. Sums as in product_of_panels, to the bit.
#pragma once

#include "kernels/cpu/gemm.h"

namespace hadal::kernels::HADAL_ISA_NS {

constexpr i64 kThinRows = 8;
constexpr int kThinVectors = kPanelVectors < 2 ? kPanelVectors : 2;  // a part lies within a panel
constexpr i64 kThinColumns = kThinVectors * kLanes;

// Words [w, w + 16) of sixteen rows, transposed, to lines of kThinColumns words.
template <class T>
void transpose_rows(const PanelOperand<T>& b, i64 row, i64 w, float* to) {
  F32x16 block[16];
  const T* first = b.data + row * b.ld;
  if (row + kLanes <= b.n && (w + kLanes) * word_elements<T> <= b.k) {
    for (i64 i = 0; i < kLanes; ++i) block[i] = whole_words(first + i * b.ld + w * word_elements<T>);
  } else {
    for (i64 i = 0; i < kLanes; ++i) {
      block[i] = row + i < b.n ? load_words<T>(Row<T>{first + i * b.ld, b.k}, w) : zero();
    }
  }
  transpose(block);
  for (i64 i = 0; i < kLanes; ++i) store(to + i * kThinColumns, block[i]);
}

// Columns [column, column + kThinColumns) of C for kRows rows of packed words (rows of `a.row`).
template <class T, int kRows, class Ahead>
void thin_columns(const Left& a, const PanelOperand<T>& b, i64 column, i64 chunk, float* tile, Ahead& ahead) {
  alignas(64) float lines[kLanes * kThinColumns];
  F32x16 total[kRows][kThinVectors];
  for (auto& row : total) {
    for (F32x16& t : row) t = zero();
  }
  for (i64 begin = 0; begin < b.k; begin += chunk) {
    const i64 first = words<T>(begin), end = first + words<T>(std::min(chunk, b.k - begin));
    F32x16 s[kRows][kThinVectors];
    for (auto& row : s) {
      for (F32x16& x : row) x = zero();
    }
    for (i64 w = first; w < end; w += kLanes) {
      ahead.lines(kThinColumns);
      for (i64 v = 0; v < kThinVectors; ++v) transpose_rows(b, column + v * kLanes, w, lines + v * kLanes);
      for (i64 i = 0; i < std::min<i64>(kLanes, end - w); ++i) {
        for (int v = 0; v < kThinVectors; ++v) {
          const F32x16 line = load(lines + i * kThinColumns + v * kLanes);
          for (int m = 0; m < kRows; ++m) s[m][v] = step<pair_words<T>>(s[m][v], a.a[m * a.row + w + i], line);
        }
      }
    }
    for (int m = 0; m < kRows; ++m) {
      for (int v = 0; v < kThinVectors; ++v) total[m][v] = begin == 0 ? s[m][v] : s[m][v] + total[m][v];
    }
  }
  for (int m = 0; m < kRows; ++m) {
    for (int v = 0; v < kThinVectors; ++v) store(tile + m * kPanel + v * kLanes, total[m][v]);
  }
}

// All rows of C, columns [column, column + at most kThinColumns). rows <= kThinRows; tile: (rows, kPanel).
// ahead.lines(n) is called as n lines of 64 bytes are used.
template <class T, class Ahead>
void thin_product(const Left& a, i64 rows, const PanelOperand<T>& b, i64 column, i64 chunk, float* tile,
                  const Output& out, Ahead& ahead) {
  using Columns = void (*)(const Left&, const PanelOperand<T>&, i64, i64, float*, Ahead&);
  static constexpr Columns kOf[kThinRows] = {
      thin_columns<T, 1, Ahead>, thin_columns<T, 2, Ahead>, thin_columns<T, 3, Ahead>, thin_columns<T, 4, Ahead>,
      thin_columns<T, 5, Ahead>, thin_columns<T, 6, Ahead>, thin_columns<T, 7, Ahead>, thin_columns<T, 8, Ahead>};
  kOf[rows - 1](a, b, column, chunk, tile, ahead);
  const i64 columns = std::min(kThinColumns, b.n - column);
  if (out.dtype == DType::bf16) {
    store_tile<bf16>(tile, rows, columns, out, 0, column);
  } else {
    store_tile<float>(tile, rows, columns, out, 0, column);
  }
}

}  // namespace hadal::kernels::HADAL_ISA_NS
