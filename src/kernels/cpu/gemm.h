// What the dense and the grouped matmul share: packing of operands into words (attention_words.h), the product of a
// block of rows with panels of columns in the order of the dot product contract, and the store.
//
// An operand whose rows run along k is packed by blocks of its rows (a task: one panel, or one block of A). One whose
// rows lie across k is packed by ranges of k, all its panels at once: each row is then read whole, not 128 bytes of it.
#pragma once

#include "kernels/cpu/attention_product.h"
#include "kernels/cpu/attention_scratch.h"

namespace hadal::kernels::HADAL_ISA_NS {

constexpr i64 kRowBlock = 96;     // rows of A that one task packs: with a panel of B they stay in L2
constexpr i64 kPanelsAtOnce = 8;  // panels whose sums exist at one time: they stay in L2, too
constexpr i64 kLinesAtOnce = 64;  // words along k that one task packs

constexpr i64 blocks_of(i64 n, i64 size) { return (n + size - 1) / size; }

// n vectors along k as panels of kPanel: (n, k) rows of ld if `along` (a weight, as B), else (k, n) rows of ld; or a
// packed weight (packed.h).
template <class T>
struct PanelOperand {
  const T* data;
  i64 n, k, ld;
  bool along;
  bool packed = false;
  // Packed weights are panels already where the words are the same.
  bool ready() const { return packed && kPanel == kPackedRows && is_pairs_or_f32<T>; }
  i64 panels() const { return blocks_of(n, kPanel); }
  i64 columns(i64 panel) const { return std::min(kPanel, n - panel * kPanel); }
  i64 panel_words() const { return kPanel * words<T>(k); }
  i64 all_words() const { return panels() * panel_words(); }

  // One panel, to its own `to` (panel_words() words).
  void pack_panel(i64 panel, float* to) const {
    const i64 first = panel * kPanel, width = columns(panel);
    if (packed) {
      unpack_panel(first, padded(width), to);
    } else if (along) {
      pack_transposed<T>(
          width, padded(width), k,
          [&](i64 i) {
            return Row<T>{data + (first + i) * ld, k};
          },
          to);
    } else {
      pack_straight<T>(
          k, k, width,
          [&](i64 i) {
            return Row<T>{data + i * ld + first, width};
          },
          to);
    }
  }

  // All panels, as tasks: panel p lies at to + p * panel_words().
  i64 tasks() const { return ready() ? 0 : along || packed ? panels() : blocks_of(words<T>(k), kLinesAtOnce); }
  void pack_task(i64 task, float* to) const {
    if (along || packed) {
      pack_panel(task, to + task * panel_words());
      return;
    }
    pack_lines<T>(
        task * kLinesAtOnce, std::min(words<T>(k), (task + 1) * kLinesAtOnce), k, k, n,
        [&](i64 i) {
          return Row<T>{data + i * ld, n};
        },
        to);
  }
  void pack(float* to) const {
    for (i64 task = 0; task < tasks(); ++task) pack_task(task, to);
  }
  // The panels: where they lie already, or `to`, where pack() or its tasks put them.
  const float* panels_at(const float* to) const { return ready() ? reinterpret_cast<const float*>(data) : to; }

  void unpack_panel(i64 first, i64 width, float* to) const {
    const i64 lines = kernels::packed_words(k, dtype_of<T>::value);
    const i64 step = packed_place(n, lines, first, 1) - packed_place(n, lines, first, 0);
    const float* from = reinterpret_cast<const float*>(data) + packed_place(n, lines, first, 0);
    for (i64 line = 0; line < lines; ++line, from += step) {
      for (i64 c = 0; c < width; c += kLanes) {
        const F32x16 word = load(from + c);
        if constexpr (is_pairs_or_f32<T>) {
          store(to + line * width + c, word);
        } else {
          store(to + 2 * line * width + c, odd_of_pairs(word));
          store(to + (2 * line + 1) * width + c, even_of_pairs(word));
        }
      }
    }
  }
};

// Rows of A, (m, k) rows of ld.
template <class T>
struct RowOperand {
  const T* a;
  i64 k, ld;
  i64 block_words(i64 rows) const { return rows * padded(words<T>(k)); }
  Left pack(i64 first, i64 rows, float* to) const {
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
void store_tile(const float* tile, i64 rows, i64 columns, const Output& out, i64 row, i64 column, i64 stride = kPanel) {
  for (i64 m = 0; m < rows; ++m) {
    C* c = static_cast<C*>(out.c) + (row + m) * out.ld + column;
    for (i64 n = 0; n < columns; n += kLanes) {
      const int count = static_cast<int>(std::min<i64>(kLanes, columns - n));
      F32x16 v = load(tile + m * stride + n) + zero();  // acc = s + (+0) for the first chunk
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

// Asks for what store_tile() will add to or write over: rows of C lie far apart, and the hardware does not see them
// coming.
inline void ask_for_rows(const Output& out, i64 row, i64 rows, i64 column, i64 columns) {
  const auto size = static_cast<i64>(size_of(out.dtype));
  for (i64 m = row; m < row + rows; ++m) {
    const char* c = static_cast<const char*>(out.c) + (m * out.ld + column) * size;
    for (i64 b = 0; b < columns * size; b += 64) __builtin_prefetch(c + b, 1, 2);
  }
}

// The panels [begin, end) of a packed operand of n columns, panel p at data + p * panel_words.
struct Panels {
  const float* data;
  i64 n, panel_words, begin, end;
};

// Rows [row, row + rows) of C, all columns of the panels. If k is long, the sums of kPanelsAtOnce panels grow chunk by
// chunk, so that a chunk of A is read from the cache; else one panel at a time, whose sums stay nearer still.
// tiles: (kPanelsAtOnce, rows, kPanel).
template <class T>
void product_of_panels(const Left& a, i64 rows, i64 k, i64 chunk, const Panels& b, float* tiles, const Output& out,
                       i64 row) {
  const i64 at_once = k > 2 * chunk ? kPanelsAtOnce : 1;
  for (i64 first = b.begin; first < b.end; first += at_once) {
    const i64 end = std::min(b.end, first + at_once);
    ask_for_rows(out, row, rows, first * kPanel, std::min(b.n, end * kPanel) - first * kPanel);
    if (k == 0) std::fill_n(tiles, (end - first) * rows * kPanel, 0.0f);
    run_products<is_bf16<T>>([&] {
      for (i64 begin = 0; begin < k; begin += chunk) {
        const i64 line = words<T>(begin), lines = words<T>(std::min(chunk, k - begin));
        for (i64 p = first; p < end; ++p) {
          const i64 columns = padded(std::min(kPanel, b.n - p * kPanel));
          const Right right{b.data + p * b.panel_words, words<T>(k), columns};
          const Target to{tiles + (p - first) * rows * kPanel, kPanel};
          if (begin == 0) {
            product<pair_words<T>, Into::store>(0, rows, columns, line, lines, a, right, to);
          } else {
            product<pair_words<T>, Into::add>(0, rows, columns, line, lines, a, right, to);
          }
        }
      }
    });
    for (i64 p = first; p < end; ++p) {
      const i64 columns = std::min(kPanel, b.n - p * kPanel);
      const float* tile = tiles + (p - first) * rows * kPanel;
      if (out.dtype == DType::bf16) {
        store_tile<bf16>(tile, rows, columns, out, row, p * kPanel);
      } else {
        store_tile<float>(tile, rows, columns, out, row, p * kPanel);
      }
    }
  }
}

// Scratch of one task: tiles of C, and room for what the task packs.
struct TaskScratch {
  float *tiles, *packed;
  TaskScratch(const Context& cx, int worker, i64 tile_rows, i64 packed_words) {
    const auto carve = [&](void* base) {
      Carver carver(base);
      tiles = carver.take<float>(kPanelsAtOnce * tile_rows * kPanel);
      packed = carver.take<float>(packed_words + kPanel);
      return carver.used();
    };
    carve(cx.scratch().worker(worker, carve(nullptr)));
  }
};

inline float* shared_words(const Context& cx, int slot, i64 words) {
  return static_cast<float*>(cx.scratch().shared(slot, static_cast<std::size_t>(words) * sizeof(float)));
}

}  // namespace hadal::kernels::HADAL_ISA_NS
