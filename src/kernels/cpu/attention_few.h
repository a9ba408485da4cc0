// Attention's products for few query rows (decode), where reading the cache is what takes time: keys are transposed in
// registers and multiplied at once, values as they lie, and lines of what follows are asked for meanwhile. The same
// sums as with packed tiles.
#pragma once

#include <cstdint>

#include "base/read_ahead.h"
#include "kernels/cpu/stream.h"

namespace hadal::kernels::HADAL_ISA_NS {

constexpr i64 kFewRows = 16;  // query rows that are few
#ifdef __AVX512F__
constexpr int kScoreRows = 8, kValueSums = 16;  // rows of scores and vectors of values that registers hold
#else
constexpr int kScoreRows = 4, kValueSums = 4;
#endif

// Rows to ask for, a line after the other.
class RowsAhead {
 public:
  RowsAhead() = default;
  template <class T>
  RowsAhead(const T* first, i64 rows, i64 row, i64 elements)
      : at_(reinterpret_cast<const char*>(first)), rows_(rows), bytes_(elements * static_cast<i64>(sizeof(T))) {
    skip_ = row * static_cast<i64>(sizeof(T)) - blocks_of(bytes_, 64) * 64;
    left_ = bytes_;
  }
  // Asks for `count` lines; how many of these there were not.
  i64 lines(i64 count) {
    for (; count > 0 && rows_ > 0; --count) {
      _mm_prefetch(at_, _MM_HINT_T1);
      at_ += 64;
      left_ -= 64;
      if (left_ > 0) continue;
      at_ += skip_;
      left_ = bytes_;
      --rows_;
    }
    return count;
  }

 private:
  const char* at_ = nullptr;
  i64 rows_ = 0, bytes_ = 0, skip_ = 0, left_ = 0;
};

// Rows of a tile's keys: d1 elements of k1, then d2 of k2.
template <class T>
struct KeyRows {
  const T *k1, *k2;
  i64 k1_row, k2_row, d1, d2;
  Row<T> row(i64 j) const { return {k1 + j * k1_row, d1, d2 > 0 ? k2 + j * k2_row : nullptr, d2}; }
};

// Asks for what is left of a tile, then for the next one, ahead of their use. For few rows a tile is used up about as
// fast as it is read, and the order in which its rows are read lets the hardware see little of what is coming.
class TilesAhead {
 public:
  // then: what is read after attention, asked for along with the tiles, a line for kThenEvery lines.
  explicit TilesAhead(ReadAhead& then) : then_(&then) {}
  // Another tile after those that there are: two at most. own_k2: no other head has read k2 before.
  template <class T>
  void add(const KeyRows<T>& keys, const T* v, i64 v_row, i64 dv, i64 rows, bool own_k2) {
    std::copy(pieces_ + kPieces, pieces_ + 2 * kPieces, pieces_);
    RowsAhead* piece = pieces_ + kPieces;
    at_ = 0;
    const bool same = v == keys.k1, beside = v == keys.k1 + keys.d1 && v_row == keys.k1_row;
    piece[0] = own_k2 ? RowsAhead(keys.k2, rows, keys.k2_row, keys.d2) : RowsAhead();
    piece[1] = RowsAhead(keys.k1, rows, keys.k1_row, beside ? keys.d1 + dv : keys.d1);
    piece[2] = same || beside ? RowsAhead() : RowsAhead(v, rows, v_row, dv);
  }
  void lines(i64 count) {
    constexpr i64 kDue = kThenEvery * ReadAhead::kLines;
    for (due_ += count; due_ >= kDue && then_->step();) due_ -= kDue;
    while (count > 0 && at_ < 2 * kPieces) {
      count = pieces_[at_].lines(count);
      if (count > 0) ++at_;
    }
  }

 private:
  static constexpr int kPieces = 3;
  static constexpr i64 kThenEvery = 4;  // more often, attention waits for them longer than the products gain
  RowsAhead pieces_[2 * kPieces];
  int at_ = 0;
  ReadAhead* then_;
  i64 due_ = 0;  // lines
};

// s += word w of a row of words, broadcast, times b. With pairs one instruction, which compilers would make two of; the
// broadcast alone takes as long as the product.
template <class T>
inline F32x16 few_step(F32x16 s, const float* words, i64 w, F32x16 b) {
#ifdef __AVX512BF16__
  if constexpr (pair_words<T>) {
    __asm__("vdpbf16ps %2%{1to16%}, %1, %0" : "+v"(s.v) : "v"(b.v), "m"(words[w]));
    return s;
  }
#endif
  return step<pair_words<T>>(s, words[w], b);
}

// Sixteen words of `count` <= 16 keys from key `first` on, word w in lines[0]; zeros for keys that are not there.
template <class T>
inline void few_key_words(const KeyRows<T>& keys, i64 first, i64 count, i64 w, TilesAhead& ahead, F32x16 (&lines)[16]) {
  constexpr i64 kSpan = kLanes * word_elements<T>;
  const i64 c = w * word_elements<T>;
  const bool in1 = c + kSpan <= keys.d1, in2 = c >= keys.d1 && c + kSpan <= keys.d1 + keys.d2;
  if (count == kLanes && (in1 || in2)) {
    const T* from = in1 ? keys.k1 + first * keys.k1_row + c : keys.k2 + first * keys.k2_row + c - keys.d1;
    const i64 row = in1 ? keys.k1_row : keys.k2_row;
    for (i64 i = 0; i < kLanes; ++i) lines[i] = whole_words(from + i * row);
    ahead.lines(kSpan * static_cast<i64>(sizeof(T)) / 4);  // as many as these are
  } else {
    for (i64 i = 0; i < kLanes; ++i) lines[i] = i < count ? load_words<T>(keys.row(first + i), w) : zero();
  }
  transpose(lines);
}

// kRow: numbers of the rows, so that their sums are registers from the start.
template <class T, int... kRow>
void few_score_rows(const KeyRows<T>& keys, i64 first, i64 count, TilesAhead& ahead, const float* q, i64 q_stride,
                    float* to, std::integer_sequence<int, kRow...>) {
  const i64 width = keys.d1 + keys.d2, chunk = dot_chunk(width);
  for (i64 begin = 0; begin < width; begin += chunk) {
    const i64 end = words<T>(std::min(width, begin + chunk));
    F32x16 s[sizeof...(kRow)] = {};
    for (i64 w = words<T>(begin); w < end; w += kLanes) {
      F32x16 lines[16];
      few_key_words(keys, first, count, w, ahead, lines);
      for (i64 i = 0; i < kLanes; ++i) {
        ((s[kRow] = few_step<T>(s[kRow], q + kRow * q_stride, w + i, lines[i])), ...);
      }
    }
    const auto keep = [&](F32x16 sum, float* at) { store(at, begin == 0 ? sum : sum + load(at)); };
    (keep(s[kRow], to + kRow * kKeyTile), ...);
  }
}

// Scores, before scaling, of `rows` queries (words in rows of q_stride, zeros after the last one) and the first `count`
// keys of a tile: to (rows, kKeyTile), whole vectors of keys.
template <class T>
void few_scores(const KeyRows<T>& keys, i64 count, const float* q, i64 q_stride, i64 rows, float* to,
                TilesAhead& ahead) {
  const auto all = [&]<int... kRows>(std::integer_sequence<int, kRows...>) {
    using Strip = void (*)(const KeyRows<T>&, i64, i64, TilesAhead&, const float*, i64, float*);
    static constexpr Strip kStrips[] = {
        [](const KeyRows<T>& k, i64 at, i64 n, TilesAhead& next, const float* queries, i64 stride, float* sums) {
          few_score_rows<T>(k, at, n, next, queries, stride, sums, std::make_integer_sequence<int, kRows + 1>());
        }...};
    const i64 strips = blocks_of(rows, kScoreRows);
    for (i64 first = 0; first < count; first += kLanes) {
      for (i64 i = 0, row = 0; i < strips; ++i) {
        const i64 size = (rows - row) / (strips - i);  // even ones: a strip of one row waits for its own sums
        kStrips[size - 1](keys, first, std::min<i64>(kLanes, count - first), ahead, q + row * q_stride, q_stride,
                          to + row * kKeyTile + first);
        row += size;
      }
    }
  };
  run_products<is_bf16<T>>([&] { all(std::make_integer_sequence<int, kScoreRows>()); });
}

// The first n of kVectors * 16 columns of a row of values, or of a pair of rows (odd may be null).
template <class T, int kVectors>
inline void value_words(const T* even, const T* odd, i64 n, F32x16 (&b)[kVectors]) {
  static_assert(kVectors % 2 == 0);
  for (int v = 0; v < kVectors; v += 2) {
    const i64 c = v * kLanes, count = std::max<i64>(0, n - c);
    if constexpr (pair_words<T>) {
      const F32x16 e = load_pairs(even + c, count), o = odd == nullptr ? zero() : load_pairs(odd + c, count);
      b[v] = interleave_low(e, o);
      b[v + 1] = interleave_high(e, o);
    } else {
      const i64 low = std::min<i64>(kLanes, count), high = std::clamp<i64>(count - kLanes, 0, kLanes);
      if constexpr (is_bf16<T>) {
        b[v] = pairs_of(even + c, odd == nullptr ? nullptr : odd + c, static_cast<int>(low));
        b[v + 1] = pairs_of(even + c + kLanes, odd == nullptr ? nullptr : odd + c + kLanes, static_cast<int>(high));
      } else {
        b[v] = load_n(even + c, static_cast<int>(low));
        b[v + 1] = load_n(even + c + kLanes, static_cast<int>(high));
      }
    }
  }
}

// P V of one tile: P as words in rows of kKeyTile, v (keys, dv) rows of ld.
template <class T>
struct FewValues {
  const float* prob;
  const T* v;
  i64 keys, ld, dv;
  float* acc;  // (rows, stride)
  i64 stride;
  const float* r = nullptr;  // a row's factor for acc, or null to overwrite it
};

template <class T>
inline F32x16 value_step(F32x16 s, const float* prob, i64 w, F32x16 b) {
  if constexpr (is_pairs_or_f32<T>) {
    return few_step<T>(s, prob, w, b);
  } else {
    return stream_step<T>(s, prob, w, b);
  }
}

// kVectors vectors of columns from `column` on; kSum: row * kVectors + vector.
template <class T, int kVectors, int... kSum>
void few_value_sums(const FewValues<T>& t, i64 row, i64 column, TilesAhead& ahead,
                    std::integer_sequence<int, kSum...>) {
  constexpr i64 kSpan = is_bf16<T> ? 2 : 1, kLine = 64 / sizeof(T);
  constexpr i64 kLines = kSpan * kVectors * kLanes / kLine;
  const float* prob = t.prob + row * kKeyTile;
  const T* v = t.v + column;
  const i64 keys = t.keys, n = t.dv - column, ld = t.ld;
  F32x16 s[sizeof...(kSum)] = {};
  for (i64 j = 0, w = 0; j < keys; j += kSpan, ++w, v += kSpan * ld) {
    ahead.lines(kLines);  // as many as these are
    F32x16 b[kVectors];
    value_words<T, kVectors>(v, j + 1 < keys ? v + ld : nullptr, n, b);
    ((s[kSum] = value_step<T>(s[kSum], prob + kSum / kVectors * kKeyTile, w, b[kSum % kVectors])), ...);
  }
  const auto keep = [&](F32x16 sum, i64 m, i64 vector) {
    if (vector * kLanes >= n) return;
    float* to = t.acc + m * t.stride + column + vector * kLanes;
    store(to, t.r == nullptr ? sum : fma(load(to), set1(t.r[m]), sum));
  };
  (keep(s[kSum], row + kSum / kVectors, kSum % kVectors), ...);
}

// All rows; the fewer, the more columns at one time.
template <class T>
void few_values(const FewValues<T>& t, i64 rows, TilesAhead& ahead) {
  const auto blocks = [&]<int kVectors, int... kRows>(i64 column, std::integer_sequence<int, kRows...>) {
    using Block = void (*)(const FewValues<T>&, i64, i64, TilesAhead&);
    static constexpr Block kBlocks[] = {[](const FewValues<T>& task, i64 row, i64 at, TilesAhead& next) {
      few_value_sums<T, kVectors>(task, row, at, next, std::make_integer_sequence<int, (kRows + 1) * kVectors>());
    }...};
    constexpr i64 kMost = sizeof...(kRows);
    const i64 strips = blocks_of(rows, kMost);
    for (i64 i = 0, row = 0; i < strips; ++i) {
      const i64 size = (rows - row) / (strips - i);
      kBlocks[size - 1](t, row, column, ahead);
      row += size;
    }
  };
  run_products<is_bf16<T>>([&] {
    for (i64 column = 0; column < t.dv;) {
      const i64 left = t.dv - column;
      if (kValueSums >= 16 && rows <= 2 && left > 4 * kLanes) {
        blocks.template operator()<8>(column, std::make_integer_sequence<int, 2>());
        column += 8 * kLanes;
      } else if (rows <= kValueSums / 4 && left > 2 * kLanes) {
        blocks.template operator()<4>(column, std::make_integer_sequence<int, kValueSums / 4>());
        column += 4 * kLanes;
      } else {
        blocks.template operator()<2>(column, std::make_integer_sequence<int, kValueSums / 2>());
        column += 2 * kLanes;
      }
    }
  });
}

}  // namespace hadal::kernels::HADAL_ISA_NS
