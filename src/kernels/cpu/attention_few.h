// Attention's tiles for few query rows (decode), where reading the cache is what takes time: keys are transposed by
// whole vectors, values multiplied as they lie, and the next tile is asked for meanwhile. The same sums as with packed
// tiles.
#pragma once

#include "kernels/cpu/stream.h"

namespace hadal::kernels::HADAL_ISA_NS {

// Asks for the rows of a tile ahead of their use, a line at each step. For few rows a tile is used up about as fast as
// it is read, and its rows lie too far apart for the hardware to see them coming.
class RowsAhead {
 public:
  RowsAhead() = default;
  RowsAhead(const void* first, i64 rows, i64 stride, i64 bytes)
      : line_(static_cast<const char*>(first)),
        rows_(rows),
        skip_(stride - (bytes + 63) / 64 * 64),
        bytes_(bytes),
        left_(bytes) {}
  void lines(i64 count) {
    for (; count > 0; --count) step();
  }
  void step() {
    if (rows_ == 0) return;
    _mm_prefetch(line_, _MM_HINT_T1);
    line_ += 64;
    left_ -= 64;
    if (left_ > 0) return;
    line_ += skip_;
    left_ = bytes_;
    --rows_;
  }

 private:
  const char* line_ = nullptr;
  i64 rows_ = 0, skip_ = 0, bytes_ = 0, left_ = 0;
};

// Rows of a tile's keys: d1 elements of k1, then d2 of k2.
template <class T>
struct KeyRows {
  const T *k1, *k2;
  i64 k1_row, k2_row, d1, d2;
  static constexpr i64 kSpan = kLanes * word_elements<T>;
  bool whole() const { return d1 % kSpan == 0 && d2 % kSpan == 0; }
};

// As pack_transposed, for a whole tile of keys whose pieces are whole vectors of words.
template <class T>
void pack_whole_keys(const KeyRows<T>& keys, float* to, RowsAhead& next_key) {
  constexpr i64 kSpan = KeyRows<T>::kSpan;
  const i64 lines = words<T>(keys.d1 + keys.d2);
  for (i64 n = 0; n < kKeyTile; n += kLanes) {
    float* panel = to + panel_start(n, lines) + n % kPanel;
    const i64 width = panel_width(n, kKeyTile);
    for (i64 c = 0; c < keys.d1 + keys.d2; c += kSpan) {
      const bool first = c < keys.d1;
      const T* from = first ? keys.k1 + n * keys.k1_row + c : keys.k2 + n * keys.k2_row + c - keys.d1;
      const i64 row = first ? keys.k1_row : keys.k2_row;
      F32x16 block[16];
      for (i64 i = 0; i < kLanes; ++i) {
        block[i] = whole_words(from + i * row);
        next_key.step();
      }
      transpose(block);
      float* line = panel + c / word_elements<T> * width;
      for (i64 i = 0; i < kLanes; ++i) store(line + i * width, block[i]);
    }
  }
}

// acc (rows, stride) = P v, or fma(acc, rescale, P v) if r is not null: P as words in rows of kKeyTile, v (keys, dv)
// rows of ld. tile: (rows, kPackedRows).
template <class T>
void add_values(const float* prob, i64 rows, i64 keys, const T* v, i64 ld, i64 dv, const float* r, float* acc,
                i64 stride, float* tile, RowsAhead& next_value) {
  const StreamTask task{{prob, kKeyTile, 1}, rows, keys, kKeyTile, tile};
  for (i64 c = 0; c < dv; c += kPackedRows) {
    const i64 columns = std::min(kPackedRows, dv - c);
    stream_straight<T>(task, v + c, ld, columns, next_value);
    for (i64 m = 0; m < rows; ++m) {
      for (i64 n = 0; n < columns; n += kLanes) {
        const F32x16 s = load(tile + m * kPackedRows + n);
        float* to = acc + m * stride + c + n;
        store(to, r == nullptr ? s : fma(load(to), set1(r[m]), s));
      }
    }
  }
}

}  // namespace hadal::kernels::HADAL_ISA_NS
