// Few rows of A against a weight (n, k): bound by reading the weight. 32 of its rows at a time (64 for one row of A,
// 16 on AVX2), sixteen words of each are transposed into a buffer that stays in the nearest cache and used at once.
// Prefetches go in the order of addresses, which the hardware then sees coming, too. Sums as in product_of_panels, to
// the bit.
#pragma once

#include "kernels/cpu/gemm.h"

namespace hadal::kernels::HADAL_ISA_NS {

constexpr i64 kThinRows = 8;
// Columns at one time: a part lies within a panel. A sum is one chain of dependent products, so one row takes more.
constexpr int kThinVectors = kPanelVectors < 2 ? kPanelVectors : 2, kThinVectorsOfOne = kPanelVectors;
constexpr i64 kThinColumns = kThinVectors * kLanes;

// Words [w, w + 16) of sixteen rows, transposed, to lines of `line` words.
template <class T>
void transpose_rows(const PanelOperand<T>& b, i64 row, i64 w, float* to, i64 line) {
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
  for (i64 i = 0; i < kLanes; ++i) store(to + i * line, block[i]);
}

// kVectors vectors of columns of C from `column` on, for kRows rows of packed words (rows of `a.row`).
template <class T, int kRows, int kVectors, class Ahead>
void thin_columns(const Left& a, const PanelOperand<T>& b, i64 column, i64 chunk, float* tile, Ahead& ahead) {
  constexpr i64 kColumns = kVectors * kLanes;
  alignas(64) float lines[kLanes * kColumns];
  F32x16 total[kRows][kVectors];
  for (auto& row : total) {
    for (F32x16& t : row) t = zero();
  }
  for (i64 begin = 0; begin < b.k; begin += chunk) {
    const i64 first = words<T>(begin), end = first + words<T>(std::min(chunk, b.k - begin));
    F32x16 s[kRows][kVectors];
    for (auto& row : s) {
      for (F32x16& x : row) x = zero();
    }
    for (i64 w = first; w < end; w += kLanes) {
      ahead.lines(kColumns);
      for (i64 v = 0; v < kVectors; ++v) transpose_rows(b, column + v * kLanes, w, lines + v * kLanes, kColumns);
      for (i64 i = 0; i < std::min<i64>(kLanes, end - w); ++i) {
        for (int v = 0; v < kVectors; ++v) {
          const F32x16 line = load(lines + i * kColumns + v * kLanes);
          for (int m = 0; m < kRows; ++m) s[m][v] = step<pair_words<T>>(s[m][v], a.a[m * a.row + w + i], line);
        }
      }
    }
    for (int m = 0; m < kRows; ++m) {
      for (int v = 0; v < kVectors; ++v) total[m][v] = begin == 0 ? s[m][v] : s[m][v] + total[m][v];
    }
  }
  for (int m = 0; m < kRows; ++m) {
    for (int v = 0; v < kVectors; ++v) store(tile + m * kPanel + v * kLanes, total[m][v]);
  }
}

// All rows of C, `columns` from `column` on, which is a multiple of kThinColumns, of one panel. rows <= kThinRows;
// tile: (rows, kPanel). ahead.lines(n) is called as n lines of 64 bytes are used.
template <class T, class Ahead>
void thin_product(const Left& a, i64 rows, const PanelOperand<T>& b, i64 column, i64 columns, i64 chunk, float* tile,
                  const Output& out, Ahead& ahead) {
  if (columns > kThinColumns && rows > 1) {
    for (i64 c = 0; c < columns; c += kThinColumns) {
      thin_product<T>(a, rows, b, column + c, std::min(kThinColumns, columns - c), chunk, tile, out, ahead);
    }
    return;
  }
  using Columns = void (*)(const Left&, const PanelOperand<T>&, i64, i64, float*, Ahead&);
  static constexpr Columns kOf[kThinRows] = {
      thin_columns<T, 1, kThinVectors, Ahead>, thin_columns<T, 2, kThinVectors, Ahead>,
      thin_columns<T, 3, kThinVectors, Ahead>, thin_columns<T, 4, kThinVectors, Ahead>,
      thin_columns<T, 5, kThinVectors, Ahead>, thin_columns<T, 6, kThinVectors, Ahead>,
      thin_columns<T, 7, kThinVectors, Ahead>, thin_columns<T, 8, kThinVectors, Ahead>};
  const Columns multiply = columns > kThinColumns ? thin_columns<T, 1, kThinVectorsOfOne, Ahead> : kOf[rows - 1];
  run_products<is_bf16<T>>([&] { multiply(a, b, column, chunk, tile, ahead); });
  if (out.dtype == DType::bf16) {
    store_tile<bf16>(tile, rows, columns, out, 0, column);
  } else {
    store_tile<float>(tile, rows, columns, out, 0, column);
  }
}

}  // namespace hadal::kernels::HADAL_ISA_NS
