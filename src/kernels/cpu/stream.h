// Few rows of A against columns of B that are multiplied as they are loaded: a packed weight (packed.h), or rows of B
// that lie across k. Sums as in product_of_panels, to the bit.
#pragma once

#include "kernels/cpu/gemm.h"

namespace hadal::kernels::HADAL_ISA_NS {

#ifdef __AVX512F__
constexpr int kStreamRows = 5, kStreamVectors = 4;  // sums that registers hold
constexpr i64 kStraightColumns = 256;               // of a row of B that is read in one go
#else
constexpr int kStreamRows = 2, kStreamVectors = 2;
constexpr i64 kStraightColumns = 64;
#endif

struct StreamTask {
  Left left;
  i64 rows, k, chunk;
  float* tile;  // (rows, kPackedRows), or one row of kStraightColumns
};

// s = one word of B's columns more, for one row whose word w of A is meant.
template <class T>
inline F32x16 stream_step(F32x16 s, const float* a, i64 w, F32x16 b) {
  if constexpr (is_pairs_or_f32<T>) {
    return step<pair_words<T>>(s, a[w], b);
  } else {
    s = fma(set1(a[2 * w]), odd_of_pairs(b), s);
    return fma(set1(a[2 * w + 1]), even_of_pairs(b), s);
  }
}

// The chunks of kRows rows from `row` on, kVectors vectors of columns from tile column `column` on. lines(w, b) loads
// word w of the columns.
template <class T, int kRows, int kVectors, class Lines>
void stream_block(const StreamTask& t, i64 row, i64 column, Lines&& lines) {
  float* tile = t.tile + row * kPackedRows + column;
  const float* a[kRows];
  for (int m = 0; m < kRows; ++m) a[m] = t.left.a + (row + m) * t.left.row;
  if (t.k == 0) {
    for (int m = 0; m < kRows; ++m) std::fill_n(tile + m * kPackedRows, kVectors * kLanes, 0.0f);
  }
  constexpr i64 kElements = is_bf16<T> ? 2 : 1;
  for (i64 begin = 0; begin < t.k; begin += t.chunk) {
    const i64 first = begin / kElements, end = blocks_of(std::min(t.k, begin + t.chunk), kElements);
    F32x16 s[kRows][kVectors];
    for (auto& of_row : s) {
      for (F32x16& x : of_row) x = zero();
    }
    for (i64 w = first; w < end; ++w) {
      F32x16 b[kVectors];
      lines(w, b);
      for (int m = 0; m < kRows; ++m) {
        for (int v = 0; v < kVectors; ++v) s[m][v] = stream_step<T>(s[m][v], a[m], w, b[v]);
      }
    }
    for (int m = 0; m < kRows; ++m) {
      for (int v = 0; v < kVectors; ++v) {
        float* to = tile + m * kPackedRows + v * kLanes;
        store(to, begin == 0 ? s[m][v] : s[m][v] + load(to));
      }
    }
  }
}

// Calls body<kVectors, kRows>(column, row) for all rows and for `columns`, a multiple of 16.
template <class Body>
void stream_blocks(i64 rows, i64 columns, Body&& body) {
  const auto at = [&]<int kVectors>(i64 column) {
    i64 row = 0;
    for (; row + kStreamRows <= rows; row += kStreamRows) body.template operator()<kVectors, kStreamRows>(column, row);
    const auto rest = [&]<int kRows>() {
      if constexpr (kRows < kStreamRows) body.template operator()<kVectors, kRows>(column, row);
    };
    switch (rows - row) {
      case 1:
        return rest.template operator()<1>();
      case 2:
        return rest.template operator()<2>();
      case 3:
        return rest.template operator()<3>();
      case 4:
        return rest.template operator()<4>();
      default:
        return;
    }
  };
  i64 column = 0;
  for (; column + kStreamVectors * kLanes <= columns; column += kStreamVectors * kLanes) {
    at.template operator()<kStreamVectors>(column);
  }
  switch ((columns - column) / kLanes) {
    case 1:
      return at.template operator()<1>(column);
    case 2:
      if constexpr (kStreamVectors > 2) at.template operator()<2>(column);
      return;
    case 3:
      if constexpr (kStreamVectors > 3) at.template operator()<3>(column);
      return;
    default:
      return;
  }
}

// Packed lines of `stride` words from b on; ahead.lines(n) is called as n lines of 64 bytes are used the
// first time.
template <class T, class Ahead>
void stream_packed(const StreamTask& t, const float* b, i64 stride, i64 columns, Ahead& ahead) {
  const i64 lines_of_word = columns / kLanes;
  stream_blocks(t.rows, columns, [&]<int kVectors, int kRows>(i64 column, i64 row) {
    const float* from = b + column;
    if (row == 0 && column == 0) {
      stream_block<T, kRows, kVectors>(t, row, column, [&](i64 w, F32x16(&line)[kVectors]) {
        ahead.lines(lines_of_word);
        for (int v = 0; v < kVectors; ++v) line[v] = load(from + w * stride + v * kLanes);
      });
    } else {
      stream_block<T, kRows, kVectors>(t, row, column, [&](i64 w, F32x16(&line)[kVectors]) {
        for (int v = 0; v < kVectors; ++v) line[v] = load(from + w * stride + v * kLanes);
      });
    }
  });
}

// B is (k, n) rows of ldb, from its column 0 on, of which `columns` exist: kPackedRows at most, kStraightColumns if
// there is one row of A.
template <class T, class Ahead>
void stream_straight(const StreamTask& t, const T* b, i64 ldb, i64 columns, Ahead&& ahead) {
  constexpr i64 kSpan = is_bf16<T> ? 2 : 1;  // rows of B in a word
  const i64 lines_of_word = kSpan * blocks_of(columns * static_cast<i64>(sizeof(T)), 64);
  const auto block = [&]<int kVectors, int kRows>(i64 column, i64 row) {
    const bool first = row == 0 && column == 0, whole = column + kVectors * kLanes <= columns;
    stream_block<T, kRows, kVectors>(t, row, column, [&](i64 w, F32x16(&line)[kVectors]) {
      if (first) ahead.lines(lines_of_word);
      const T* from = b + kSpan * w * ldb + column;
      for (int v = 0; v < kVectors; ++v) {
        // Only loads of whole vectors may reach past the columns: the last one's go by masks.
        const int n = whole ? kLanes : static_cast<int>(std::min<i64>(kLanes, columns - column - v * kLanes));
        if constexpr (is_bf16<T>) {
          line[v] = pairs_of(from + v * kLanes, 2 * w + 1 < t.k ? from + ldb + v * kLanes : nullptr, n);
        } else {
          line[v] = load_n(from + v * kLanes, n);
        }
      }
    });
  };
  if (t.rows == 1 && columns == kStraightColumns) {
    block.template operator()<kStraightColumns / kLanes, 1>(0, 0);
  } else {
    stream_blocks(t.rows, padded(columns), block);
  }
}

}  // namespace hadal::kernels::HADAL_ISA_NS
