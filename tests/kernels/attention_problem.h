// A random attention problem: sequences in a flat batch, with K and V side by side in one row as the model stores them,
// every output between guard zones; the same sequences as scattered cache blocks whose unwritten rows are NaN.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace hadal::test {

using kernels::i64;

// Memory with guard zones on both sides.
template <class T>
class Guarded {
 public:
  explicit Guarded(i64 n) : n_(n), bytes_((static_cast<std::size_t>(n) + 2 * kZone) * sizeof(T), kMark) {}
  T* data() { return reinterpret_cast<T*>(bytes_.data()) + kZone; }
  const T* data() const { return reinterpret_cast<const T*>(bytes_.data()) + kZone; }
  T& operator[](i64 i) { return data()[i]; }
  const T& operator[](i64 i) const { return data()[i]; }
  i64 size() const { return n_; }
  bool intact() const {
    const std::size_t zone = kZone * sizeof(T);
    for (std::size_t i = 0; i < zone; ++i) {
      if (bytes_[i] != kMark || bytes_[bytes_.size() - 1 - i] != kMark) return false;
    }
    return true;
  }
  bool operator==(const Guarded& o) const {
    return n_ == o.n_ && std::memcmp(data(), o.data(), static_cast<std::size_t>(n_) * sizeof(T)) == 0;
  }

 private:
  static constexpr std::size_t kZone = 64;
  static constexpr unsigned char kMark = 0xA5;
  i64 n_;
  std::vector<unsigned char> bytes_;
};

struct AttentionShape {
  i64 heads, kv_heads, d1, d2, dv;
  std::string name() const { return fmt::format("heads {}/{} dims {}+{}/{}", heads, kv_heads, d1, d2, dv); }
};

template <class T>
struct AttentionProblem {
  AttentionShape shape;
  std::vector<i64> starts;  // (sequences + 1)
  i64 rows, q_width, kv_width;
  Guarded<T> q, kv, k2, d_out;
  float scale;

  AttentionProblem(const AttentionShape& s, const std::vector<i64>& lengths, std::uint64_t seed)
      : shape(s),
        starts(sums(lengths)),
        rows(starts.back()),
        q_width(s.heads * (s.d1 + s.d2)),
        kv_width(s.kv_heads * (s.d1 + s.dv)),
        q(rows * q_width),
        kv(rows * kv_width),
        k2(rows * s.d2),
        d_out(rows * s.heads * s.dv),
        scale(1.7f / std::sqrt(static_cast<float>(s.d1 + s.d2))) {
    std::mt19937_64 random(seed);
    std::normal_distribution<float> normal;
    for (Guarded<T>* t : {&q, &kv, &k2, &d_out}) {
      for (i64 i = 0; i < t->size(); ++i) (*t)[i] = T(normal(random));
    }
  }

  static std::vector<i64> sums(const std::vector<i64>& lengths) {
    std::vector<i64> s{0};
    for (const i64 n : lengths) s.push_back(s.back() + n);
    return s;
  }
  i64 sequences() const { return static_cast<i64>(starts.size()) - 1; }

  kernels::Attention forward_params() const {
    return {.heads = shape.heads,
            .kv_heads = shape.kv_heads,
            .d1 = shape.d1,
            .d2 = shape.d2,
            .dv = shape.dv,
            .k1_row = kv_width,
            .k1_head = shape.d1 + shape.dv,
            .k2_row = shape.d2,
            .v_row = kv_width,
            .v_head = shape.d1 + shape.dv,
            .scale = scale,
            .q = q.data(),
            .act = dtype_of<T>::value};
  }
  kernels::AttentionBackward backward_params() const {
    return {.heads = shape.heads,
            .kv_heads = shape.kv_heads,
            .d1 = shape.d1,
            .d2 = shape.d2,
            .dv = shape.dv,
            .k1_row = kv_width,
            .k1_head = shape.d1 + shape.dv,
            .k2_row = shape.d2,
            .v_row = kv_width,
            .v_head = shape.d1 + shape.dv,
            .scale = scale,
            .rows = rows,
            .q = q.data(),
            .k1 = kv.data(),
            .k2 = k2.data(),
            .v = kv.data() + shape.d1,
            .d_out = d_out.data(),
            .sequence_starts = starts.data(),
            .sequence_count = sequences(),
            .act = dtype_of<T>::value};
  }
};

// Tiles and sequences of a flat batch.
template <class T>
struct FlatTiles {
  std::vector<kernels::KeyTile> tiles;
  std::vector<kernels::AttentionSequence> sequences;
  explicit FlatTiles(const AttentionProblem<T>& p) {
    std::vector<std::size_t> first;
    for (i64 s = 0; s < p.sequences(); ++s) {
      first.push_back(tiles.size());
      for (i64 r = p.starts[s]; r < p.starts[s + 1]; r += kernels::kKeyTile) {
        const T* row = p.kv.data() + r * p.kv_width;
        tiles.push_back({row, p.shape.d2 > 0 ? p.k2.data() + r * p.shape.d2 : nullptr, row + p.shape.d1});
      }
    }
    for (i64 s = 0; s < p.sequences(); ++s) {
      sequences.push_back({p.starts[s], p.starts[s + 1], 0, tiles.data() + first[static_cast<std::size_t>(s)]});
    }
  }
};

template <class T>
struct ForwardResult {
  Guarded<T> out;
  Guarded<float> lse;
  explicit ForwardResult(const AttentionProblem<T>& p)
      : out(p.rows * p.shape.heads * p.shape.dv), lse(p.rows * p.shape.heads) {}
  bool operator==(const ForwardResult&) const = default;
};

template <class T>
ForwardResult<T> forward(const kernels::Context& cx, const AttentionProblem<T>& p) {
  ForwardResult<T> result(p);
  const FlatTiles<T> flat(p);
  kernels::Attention a = p.forward_params();
  a.out = result.out.data();
  a.lse = result.lse.data();
  a.sequences = flat.sequences.data();
  a.sequence_count = static_cast<i64>(flat.sequences.size());
  kernels::run(cx, a);
  return result;
}

template <class T>
struct BackwardResult {
  Guarded<T> dq, dkv, dk2;
  explicit BackwardResult(const AttentionProblem<T>& p)
      : dq(p.rows * p.q_width), dkv(p.rows * p.kv_width), dk2(p.rows * p.shape.d2) {}
  bool operator==(const BackwardResult&) const = default;
};

template <class T>
BackwardResult<T> backward(const kernels::Context& cx, const AttentionProblem<T>& p, const ForwardResult<T>& f) {
  BackwardResult<T> result(p);
  kernels::AttentionBackward a = p.backward_params();
  a.out = f.out.data();
  a.lse = f.lse.data();
  a.dq = result.dq.data();
  a.dk1 = result.dkv.data();
  a.dv_out = result.dkv.data() + p.shape.d1;
  a.dk2 = result.dk2.data();
  kernels::run(cx, a);
  return result;
}

// A cache of 64-position blocks in random places; rows are NaN until they are written.
template <class T>
class PoisonedCache {
 public:
  PoisonedCache(const AttentionProblem<T>& p, std::uint64_t seed)
      : p_(p), written_(p.starts.begin(), p.starts.end() - 1) {
    std::vector<i64> places;
    for (i64 s = 0; s < p.sequences(); ++s) {
      for (i64 t = 0; t * kernels::kKeyTile < p.starts[s + 1] - p.starts[s]; ++t) {
        places.push_back(static_cast<i64>(places.size()));
      }
    }
    std::mt19937_64 random(seed);
    std::shuffle(places.begin(), places.end(), random);
    const T nan(std::numeric_limits<float>::quiet_NaN());
    kv_.assign(places.size() * kernels::kKeyTile * static_cast<std::size_t>(p.kv_width), nan);
    k2_.assign(places.size() * kernels::kKeyTile * static_cast<std::size_t>(p.shape.d2) + 1, nan);
    std::size_t next = 0;
    for (i64 s = 0; s < p.sequences(); ++s) {
      tiles_.emplace_back();
      for (i64 t = 0; t * kernels::kKeyTile < p.starts[s + 1] - p.starts[s]; ++t) {
        const i64 row = places[next++] * kernels::kKeyTile;
        const T* kv = kv_.data() + row * p.kv_width;
        tiles_.back().push_back({kv, p.shape.d2 > 0 ? k2_.data() + row * p.shape.d2 : nullptr, kv + p.shape.d1});
      }
    }
  }

  // Writes the keys of the next `rows` rows of sequence s and returns them as query rows.
  kernels::AttentionSequence append(i64 s, i64 rows) {
    const i64 begin = written_[static_cast<std::size_t>(s)];
    for (i64 r = begin; r < begin + rows; ++r) {
      const i64 position = r - p_.starts[s];
      const kernels::KeyTile& tile =
          tiles_[static_cast<std::size_t>(s)][static_cast<std::size_t>(position / kernels::kKeyTile)];
      const i64 in_tile = position % kernels::kKeyTile;
      std::copy_n(p_.kv.data() + r * p_.kv_width, p_.kv_width,
                  const_cast<T*>(static_cast<const T*>(tile.k1)) + in_tile * p_.kv_width);
      if (p_.shape.d2 == 0) continue;
      std::copy_n(p_.k2.data() + r * p_.shape.d2, p_.shape.d2,
                  const_cast<T*>(static_cast<const T*>(tile.k2)) + in_tile * p_.shape.d2);
    }
    written_[static_cast<std::size_t>(s)] += rows;
    return {begin, begin + rows, begin - p_.starts[s], tiles_[static_cast<std::size_t>(s)].data()};
  }
  i64 left(i64 s) const { return p_.starts[s + 1] - written_[static_cast<std::size_t>(s)]; }

 private:
  const AttentionProblem<T>& p_;
  std::vector<i64> written_;
  std::vector<T> kv_, k2_;
  std::vector<std::vector<kernels::KeyTile>> tiles_;
};

}  // namespace hadal::test
