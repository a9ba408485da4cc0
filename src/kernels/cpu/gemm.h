// What the dense and the grouped matmul share: packing of operand blocks into words (attention_words.h), the product of
// a block of rows with one panel of columns in the order of the dot product contract, and the store.
#pragma once

#include "kernels/cpu/attention_product.h"
#include "kernels/cpu/attention_scratch.h"

namespace hadal::kernels::HADAL_ISA_NS {

constexpr i64 kRowBlock = 96;  // rows of A that one task packs: with a panel of B they stay in L2

constexpr i64 blocks_of(i64 n, i64 size) { return (n + size - 1) / size; }

// B: (n, k) rows of ld if transposed (a weight), else (k, n) rows of ld.
template <class T>
struct RightOperand {
  const T* b;
  i64 n, k, ld;
  bool transposed;
  i64 panels() const { return blocks_of(n, kPanel); }
  i64 panel_columns(i64 panel) const { return padded(std::min(kPanel, n - panel * kPanel)); }
  i64 panel_words() const { return kPanel * words<T>(k); }

  // Packs columns [panel * kPanel, ...) to `to` (panel_words() words).
  void pack(i64 panel, float* to) const {
    const i64 first = panel * kPanel, width = std::min(kPanel, n - first);
    if (transposed) {
      pack_transposed<T>(
          width, padded(width), k,
          [&](i64 i) {
            return Row<T>{b + (first + i) * ld, k};
          },
          to);
    } else {
      pack_straight<T>(
          k, k, width,
          [&](i64 i) {
            return Row<T>{b + i * ld + first, width};
          },
          to);
    }
  }
};

// A: (m, k) rows of ld, or (k, m) rows of ld if transposed.
template <class T>
struct LeftOperand {
  const T* a;
  i64 m, k, ld;
  bool transposed;
  i64 block_rows() const { return transposed ? kPanel : kRowBlock; }
  i64 block_words(i64 rows) const { return transposed ? kPanel * words<T>(k) : rows * padded(words<T>(k)); }

  Left pack(i64 first, i64 rows, float* to) const {
    if (transposed) {
      pack_straight<T>(
          k, k, rows,
          [&](i64 i) {
            return Row<T>{a + i * ld + first, rows};
          },
          to);
      return {to, 1, padded(rows)};
    }
    pack_left<T>(
        rows, k,
        [&](i64 i) {
          return Row<T>{a + (first + i) * ld, k};
        },
        to);
    return {to, padded(words<T>(k)), 1};
  }
};

struct Output {
  void* c;
  i64 ld;
  DType dtype;
  const float* bias;
  bool accumulate;
};

template <class C>
void store_tile(const float* tile, i64 rows, i64 columns, const Output& out, i64 row, i64 column) {
  for (i64 m = 0; m < rows; ++m) {
    C* c = static_cast<C*>(out.c) + (row + m) * out.ld + column;
    for (i64 n = 0; n < columns; n += kLanes) {
      const int count = static_cast<int>(std::min<i64>(kLanes, columns - n));
      F32x16 v = load(tile + m * kPanel + n) + zero();  // acc = s + (+0) for the first chunk
      if (out.bias != nullptr) v = v + load_n(out.bias + column + n, count);
      if (out.accumulate) v = load_n(c + n, count) + v;
      if (count == kLanes) {
        store(c + n, v);
      } else {
        store_n(c + n, v, count);
      }
    }
  }
}

// Rows [row, row + rows) of C and the columns of one packed panel.
template <class T>
void panel_product(const Left& a, i64 rows, i64 k, i64 chunk, const float* panel, i64 columns, float* tile,
                   const Output& out, i64 row, i64 column) {
  const Right b{panel, words<T>(k), padded(columns)};
  const Target to{tile, kPanel};
  if (k == 0) std::fill_n(tile, rows * kPanel, 0.0f);
  for (i64 begin = 0; begin < k; begin += chunk) {
    const i64 first = words<T>(begin), lines = words<T>(std::min(chunk, k - begin));
    if (begin == 0) {
      product<pair_words<T>, Into::store>(0, rows, padded(columns), first, lines, a, b, to);
    } else {
      product<pair_words<T>, Into::add>(0, rows, padded(columns), first, lines, a, b, to);
    }
  }
  if (out.dtype == DType::bf16) {
    store_tile<bf16>(tile, rows, columns, out, row, column);
  } else {
    store_tile<float>(tile, rows, columns, out, row, column);
  }
}

// Scratch of one task: a tile of C and a packed block of A, or a packed panel of B.
template <class T>
struct TaskScratch {
  float *tile, *block;
  TaskScratch(const Context& cx, int worker, i64 tile_rows, i64 block_words) {
    const auto carve = [&](void* base) {
      Carver carver(base);
      tile = carver.take<float>(tile_rows * kPanel);
      block = carver.take<float>(block_words + kPanel);
      return carver.used();
    };
    carve(cx.scratch().worker(worker, carve(nullptr)));
  }
};

}  // namespace hadal::kernels::HADAL_ISA_NS
