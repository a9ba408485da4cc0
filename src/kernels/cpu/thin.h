// Few rows of A against a weight (n, k): bound by reading the weight. Sixteen of its rows at a time are transposed in
// registers and used at once, while the next sixteen are asked for. Sums as in product_of_panels, to the bit.
#pragma once

#include "kernels/cpu/gemm.h"

namespace hadal::kernels::HADAL_ISA_NS {

constexpr i64 kThinRows = 8;

// Columns [column, column + 16) of C for kRows rows of packed words (rows of `a.row`).
template <class T, int kRows>
void thin_columns(const Left& a, const PanelOperand<T>& b, i64 column, i64 chunk, float* tile) {
  const i64 valid = std::min<i64>(kLanes, b.n - column);
  const T* rows = b.data + column * b.ld;
  // In the order of addresses, which the hardware then sees coming, too.
  const char* ahead = reinterpret_cast<const char*>(rows + 2 * kLanes * b.ld);
  F32x16 total[kRows];
  for (F32x16& t : total) t = zero();
  for (i64 begin = 0; begin < b.k; begin += chunk) {
    const i64 first = words<T>(begin), end = first + words<T>(std::min(chunk, b.k - begin));
    F32x16 s[kRows];
    for (F32x16& x : s) x = zero();
    for (i64 w = first; w < end; w += kLanes) {
      F32x16 block[16];
      for (i64 i = 0; i < kLanes; ++i) {
        const T* row = rows + i * b.ld;
        _mm_prefetch(ahead, _MM_HINT_T1);
        ahead += 64;
        block[i] = i < valid ? load_words<T>(Row<T>{row, b.k}, w) : zero();
      }
      transpose(block);
      for (i64 i = 0; i < std::min<i64>(kLanes, end - w); ++i) {
        for (int m = 0; m < kRows; ++m) s[m] = step<pair_words<T>>(s[m], a.a[m * a.row + w + i], block[i]);
      }
    }
    for (int m = 0; m < kRows; ++m) total[m] = begin == 0 ? s[m] : s[m] + total[m];
  }
  for (int m = 0; m < kRows; ++m) store(tile + m * kPanel, total[m]);
}

// C rows [row, row + rows), the columns of one panel. rows <= kThinRows; tile: (rows, kPanel).
template <class T>
void thin_panel(const Left& a, i64 rows, const PanelOperand<T>& b, i64 panel, i64 chunk, float* tile, const Output& out,
                i64 row) {
  using Columns = void (*)(const Left&, const PanelOperand<T>&, i64, i64, float*);
  static constexpr Columns kOf[kThinRows] = {thin_columns<T, 1>, thin_columns<T, 2>, thin_columns<T, 3>,
                                             thin_columns<T, 4>, thin_columns<T, 5>, thin_columns<T, 6>,
                                             thin_columns<T, 7>, thin_columns<T, 8>};
  const i64 columns = b.columns(panel);
  for (i64 c = 0; c < columns; c += kLanes) kOf[rows - 1](a, b, panel * kPanel + c, chunk, tile + c);
  if (out.dtype == DType::bf16) {
    store_tile<bf16>(tile, rows, columns, out, row, panel * kPanel);
  } else {
    store_tile<float>(tile, rows, columns, out, row, panel * kPanel);
  }
}

}  // namespace hadal::kernels::HADAL_ISA_NS
