// Attention backward, as ref/attention.h defines it. A task is one head over one sequence: for each block of key tiles
// all query tiles that see it, P and dS of a tile recomputed from the saved log-sums; dK and dV of the block stay in
// place while dQ of the sequence is added up. Heads that share a key or value leave f32 totals, summed afterwards in
// rising order.
#include <algorithm>
#include <vector>

#include "base/error.h"
#include "kernels/cpu/attention_product.h"
#include "kernels/cpu/attention_scratch.h"
#include "kernels/declare.h"

namespace hadal::kernels::HADAL_ISA_NS {

namespace {

constexpr i64 kBlockTiles = 4;     // key tiles packed at one time
constexpr i64 kDiagonalRows = 16;  // step in which the triangle of a diagonal tile is walked
constexpr i64 kRowsOfSum = 64;     // rows of one task of the sum over heads
constexpr std::size_t kSharedBytes = std::size_t{64} << 20;

// Rows of a sequence. (A type of this file: a std:: template over a plain type would be shared by the ISAs' copies.)
struct Span {
  i64 begin, rows;
};

struct BackwardPlan {
  const AttentionBackward& p;
  i64 group = p.heads / p.kv_heads;
  i64 width = p.d1 + p.d2, columns = padded(width), v_columns = padded(p.dv);
  i64 longest = 0;            // sequence
  i64 wave = 0;               // heads whose totals exist at one time: whole groups
  float* totals = nullptr;    // (wave, T, total_width): [dk1 ; dv] if heads share them, then dk2
  float* dk2_sums = nullptr;  // (T, d2): dk2 of the heads of earlier waves
  bool own_key() const { return group == 1; }
  i64 dk2_at() const { return own_key() ? 0 : p.d1 + p.dv; }
  i64 total_width() const { return dk2_at() + p.d2; }
};

void store_values(float* to, const float* from, i64 n) {
  for (i64 c = 0; c < n; c += kLanes) {
    const int count = static_cast<int>(std::min<i64>(kLanes, n - c));
    store_n(to + c, load_n(from + c, count), count);
  }
}

// Rounds a finished sum; + 0 makes every zero +0.
template <class T>
void store_rounded(T* to, const float* from, i64 n) {
  for (i64 c = 0; c < n; c += kLanes) {
    const int count = static_cast<int>(std::min<i64>(kLanes, n - c));
    store_n(to + c, load_n(from + c, count) + zero(), count);
  }
}

// Rows i and i + 1 of a tile (i even) as words along the rows: the left operand of a product that sums over query rows.
template <class T>
void store_column_words(float* to, i64 i, const F32x16 (&x)[2][4]) {
  for (int v = 0; v < 4; ++v) {
    float* at = to + v * kLanes;
    if constexpr (pair_words<T>) {
      store(at + i / 2 * kKeyTile, interleave_rounded(x[0][v], x[1][v]));
    } else {
      const i64 odd = is_bf16<T> ? 1 : 0;
      store(at + (i + odd) * kKeyTile, is_bf16<T> ? round_for_product(x[0][v]) : x[0][v]);
      store(at + (i + 1 - odd) * kKeyTile, is_bf16<T> ? round_for_product(x[1][v]) : x[1][v]);
    }
  }
}

template <class T>
class BackwardHead {
 public:
  BackwardHead(const BackwardPlan& plan, Carver& from) : plan_(plan), p_(plan.p) {
    const i64 tile_lines = words<T>(kKeyTile);
    dq_ = from.take<float>(plan.longest * plan.columns);
    delta_ = from.take<float>(plan.longest);
    for (KeyBlockTile& k : key_) {
      k.k_t = from.take<float>(words<T>(plan.width) * kKeyTile);
      k.v_t = from.take<float>(words<T>(p_.dv) * kKeyTile);
      k.k = from.take<float>(tile_lines * plan.columns);
      k.dk = from.take<float>(kKeyTile * plan.columns);
      k.dv = from.take<float>(kKeyTile * plan.v_columns);
    }
    q_left_ = from.take<float>(kKeyTile * q_stride_);
    d_left_ = from.take<float>(kKeyTile * d_stride_);
    q_right_ = from.take<float>(tile_lines * plan.columns);
    d_right_ = from.take<float>(tile_lines * plan.v_columns);
    for (float** tile : {&s_, &dp_, &prob_, &ds_rows_, &ds_columns_}) *tile = from.take<float>(kKeyTile * kKeyTile);
  }

  void run(i64 begin, i64 rows, i64 head, i64 in_wave) {
    begin_ = begin;
    rows_ = rows;
    head_ = head;
    in_wave_ = in_wave;
    for (i64 i = kKeyTile; i < rows; ++i) delta_[i] = dot16(d_out(i), out(i));
    const i64 tiles = (rows + kKeyTile - 1) / kKeyTile;
    for (i64 first = 0; first < tiles; first += kBlockTiles) {
      const i64 end = std::min(tiles, first + kBlockTiles);
      for (i64 t = first; t < end; ++t) pack_keys(t, key_[t - first]);
      for (i64 i = first; i < tiles; ++i) {
        pack_queries(i);
        for (i64 t = first; t < std::min(end, i + 1); ++t) tile(i, t, key_[t - first]);
      }
      for (i64 t = first; t < end; ++t) store_keys(t, key_[t - first]);
    }
    for (i64 i = 0; i < rows; ++i) {
      store_rounded(static_cast<T*>(p_.dq) + query(i) * plan_.width, dq_ + i * plan_.columns, plan_.width);
    }
  }

 private:
  // One tile of keys: packed for the four products that read it, and the gradients of its keys and values.
  struct KeyBlockTile {
    float *k_t, *v_t, *k, *dk, *dv;
  };

  i64 query(i64 i) const { return (begin_ + i) * p_.heads + head_; }
  i64 kv() const { return head_ / plan_.group; }
  const T* q(i64 i) const { return static_cast<const T*>(p_.q) + query(i) * plan_.width; }
  const T* d_out(i64 i) const { return static_cast<const T*>(p_.d_out) + query(i) * p_.dv; }
  const T* out(i64 i) const { return static_cast<const T*>(p_.out) + query(i) * p_.dv; }
  i64 in_tile(i64 t) const { return std::min(kKeyTile, rows_ - t * kKeyTile); }

  float dot16(const T* a, const T* b) const {
    F32x16 s = zero();
    for (i64 c = 0; c < p_.dv; c += kLanes) {
      const int n = static_cast<int>(std::min<i64>(kLanes, p_.dv - c));
      s = fma(load_n(a + c, n), load_n(b + c, n), s);
    }
    return sum(s);
  }

  static float dot16(const F32x16 (&a)[4], const F32x16 (&b)[4]) {
    F32x16 s = zero();
    for (int v = 0; v < 4; ++v) s = fma(a[v], b[v], s);
    return sum(s);
  }

  void pack_keys(i64 t, const KeyBlockTile& to) const {
    const i64 first = begin_ + t * kKeyTile, keys = in_tile(t);
    const T* k1 = static_cast<const T*>(p_.k1) + first * p_.k1_row + kv() * p_.k1_head;
    const T* k2 = p_.d2 > 0 ? static_cast<const T*>(p_.k2) + first * p_.k2_row : nullptr;
    const T* v = static_cast<const T*>(p_.v) + first * p_.v_row + kv() * p_.v_head;
    const auto key = [&](i64 j) {
      return Row<T>{k1 + j * p_.k1_row, p_.d1, p_.d2 > 0 ? k2 + j * p_.k2_row : nullptr, p_.d2};
    };
    const auto value = [&](i64 j) { return Row<T>{v + j * p_.v_row, p_.dv}; };
    pack_transposed<T>(keys, kKeyTile, plan_.width, key, to.k_t);
    pack_transposed<T>(keys, kKeyTile, p_.dv, value, to.v_t);
    pack_straight<T>(keys, kKeyTile, plan_.width, key, to.k);
  }

  void pack_queries(i64 t) const {
    const i64 first = t * kKeyTile, rows = in_tile(t);
    const auto query_row = [&](i64 i) { return Row<T>{q(first + i), plan_.width}; };
    const auto d_out_row = [&](i64 i) { return Row<T>{d_out(first + i), p_.dv}; };
    pack_left<T>(rows, plan_.width, query_row, q_left_);
    pack_left<T>(rows, p_.dv, d_out_row, d_left_);
    pack_straight<T>(rows, kKeyTile, plan_.width, query_row, q_right_);
    pack_straight<T>(rows, kKeyTile, p_.dv, d_out_row, d_right_);
  }

  // Query tile i against key tile t <= i.
  void tile(i64 i, i64 t, const KeyBlockTile& key) {
    const i64 rows = in_tile(i), keys = in_tile(t), lines = words<T>(kKeyTile);
    const bool diagonal = i == t;
    const i64 step = diagonal ? kDiagonalRows : kKeyTile;
    const Left q{q_left_, q_stride_, 1}, d{d_left_, d_stride_, 1};
    for (i64 m = 0; m < rows; m += step) {  // on the diagonal row m sees keys up to m
      const i64 count = std::min(step, rows - m), sees = padded(diagonal ? m + count : keys);
      product_contract<T>(m, count, sees, plan_.width, q, {key.k_t, words<T>(plan_.width), kKeyTile}, {s_, kKeyTile});
      product_contract<T>(m, count, sees, p_.dv, d, {key.v_t, words<T>(p_.dv), kKeyTile}, {dp_, kKeyTile});
    }
    for (i64 m = 0; m < rows; m += 2) softmax_backward(i, m, rows, diagonal);
    const Left prob{prob_, 1, kKeyTile}, ds_columns{ds_columns_, 1, kKeyTile}, ds_rows{ds_rows_, kKeyTile, 1};
    for (i64 m = 0; m < keys; m += step) {  // on the diagonal key m is seen by rows from m on
      const i64 count = std::min(step, keys - m), from = diagonal ? words<T>(m) : 0;
      accumulate(diagonal, m, count, from, words<T>(rows) - from, prob, {d_right_, lines, plan_.v_columns}, key.dv);
      accumulate(diagonal, m, count, from, words<T>(rows) - from, ds_columns, {q_right_, lines, plan_.columns}, key.dk);
    }
    for (i64 m = 0; m < rows; m += step) {
      const i64 count = std::min(step, rows - m), sees = diagonal ? m + count : keys;
      accumulate(t == 0, m, count, 0, words<T>(sees), ds_rows, {key.k, lines, plan_.columns},
                 dq_ + i * kKeyTile * plan_.columns);
    }
  }

  // Rows [m, m + count) of `to` (+)= a b; the first tile of a sum stores.
  void accumulate(bool first, i64 m, i64 count, i64 from, i64 lines, const Left& a, const Right& b, float* to) const {
    if (first) {
      product_of<T, Into::store>(m, count, b.columns, from, lines, a, b, {to, b.columns});
    } else {
      product_of<T, Into::add>(m, count, b.columns, from, lines, a, b, {to, b.columns});
    }
  }

  // Rows m, m + 1 of query tile i: scores and d_out v to P and dS. A row past the end counts as zeros.
  void softmax_backward(i64 i, i64 m, i64 rows, bool diagonal) {
    F32x16 prob[2][4], ds[2][4];
    for (i64 r = 0; r < 2; ++r) {
      const i64 row = i * kKeyTile + m + r;
      const bool exists = m + r < rows;
      const F32x16 scale = set1(p_.scale), lse = set1(exists ? p_.lse[query(row)] : 0.0f);
      const i64 at = (m + r) * kKeyTile;
      F32x16 dp[4];
      for (int v = 0; v < 4; ++v) {
        prob[r][v] = exp(load(s_ + at + v * kLanes) * scale - lse);
        dp[v] = load(dp_ + at + v * kLanes);
      }
      if (diagonal || !exists) {
        const F32x16 seen = set1(exists ? static_cast<float>(m + r + 1) : 0.0f);
        for (int v = 0; v < 4; ++v) {
          prob[r][v] = select_less(lane_numbers(v * kLanes), seen, prob[r][v], zero());
          dp[v] = select_less(lane_numbers(v * kLanes), seen, dp[v], zero());
        }
      }
      const F32x16 delta = set1(row < kKeyTile ? dot16(prob[r], dp) : exists ? delta_[row] : 0.0f);
      for (int v = 0; v < 4; ++v) ds[r][v] = (prob[r][v] * (dp[v] - delta)) * scale;
      store_row_words<T>(ds_rows_ + at, ds[r]);
    }
    store_column_words<T>(prob_, m, prob);
    store_column_words<T>(ds_columns_, m, ds);
  }

  void store_keys(i64 t, const KeyBlockTile& key) const {
    for (i64 j = 0; j < in_tile(t); ++j) {
      const i64 row = begin_ + t * kKeyTile + j;
      const float* dk = key.dk + j * plan_.columns;
      const float* dv = key.dv + j * plan_.v_columns;
      float* total = plan_.totals + (in_wave_ * p_.rows + row) * plan_.total_width();
      if (plan_.own_key()) {
        store_rounded(static_cast<T*>(p_.dk1) + row * p_.k1_row + kv() * p_.k1_head, dk, p_.d1);
        store_rounded(static_cast<T*>(p_.dv_out) + row * p_.v_row + kv() * p_.v_head, dv, p_.dv);
      } else {
        store_values(total, dk, p_.d1);
        store_values(total + p_.d1, dv, p_.dv);
      }
      if (p_.d2 > 0) store_values(total + plan_.dk2_at(), dk + p_.d1, p_.d2);
    }
  }

  const BackwardPlan& plan_;
  const AttentionBackward& p_;
  i64 q_stride_ = padded(words<T>(plan_.width)), d_stride_ = padded(words<T>(p_.dv));
  i64 begin_ = 0, rows_ = 0, head_ = 0, in_wave_ = 0;
  float *dq_, *delta_;  // (rows, columns), (rows)
  KeyBlockTile key_[kBlockTiles];
  float *q_left_, *d_left_, *q_right_, *d_right_;    // the query tile's q and d_out, as left and right operands
  float *s_, *dp_, *prob_, *ds_rows_, *ds_columns_;  // (64, 64) each
};

// Sums the totals of a wave's heads over rows [row, end).
template <class T>
void sum_heads(const BackwardPlan& plan, i64 first_head, i64 heads, i64 row, i64 end) {
  const AttentionBackward& p = plan.p;
  const auto total = [&](i64 head, i64 r) { return plan.totals + (head * p.rows + r) * plan.total_width(); };
  // Columns [at, at + n) of `count` heads from `head` on, added to `before` if there is one; rounded into `to`, or
  // kept.
  const auto add = [&](i64 r, i64 head, i64 count, i64 at, i64 n, const float* before, T* to, float* keep) {
    for (i64 c = 0; c < n; c += kLanes) {
      const int lanes = static_cast<int>(std::min<i64>(kLanes, n - c));
      F32x16 s = load_n((before != nullptr ? before : total(head, r) + at) + c, lanes);
      for (i64 h = before != nullptr ? 0 : 1; h < count; ++h) s = s + load_n(total(head + h, r) + at + c, lanes);
      if (keep != nullptr) store_n(keep + c, s, lanes);
      if (to != nullptr) store_n(to + c, s + zero(), lanes);
    }
  };
  for (i64 r = row; r < end; ++r) {
    for (i64 h = 0; h < heads && !plan.own_key(); h += plan.group) {
      const i64 kv = (first_head + h) / plan.group;
      add(r, h, plan.group, 0, p.d1, nullptr, static_cast<T*>(p.dk1) + r * p.k1_row + kv * p.k1_head, nullptr);
      add(r, h, plan.group, p.d1, p.dv, nullptr, static_cast<T*>(p.dv_out) + r * p.v_row + kv * p.v_head, nullptr);
    }
    if (p.d2 == 0) continue;
    float* sums = plan.dk2_sums + r * p.d2;
    const bool last = first_head + heads == p.heads;
    add(r, 0, heads, plan.dk2_at(), p.d2, first_head > 0 ? sums : nullptr,
        last ? static_cast<T*>(p.dk2) + r * p.k2_row : nullptr, last ? nullptr : sums);
  }
}

template <class T>
void run_backward(const Context& cx, const AttentionBackward& p) {
  BackwardPlan plan{p};
  std::vector<Span> order;  // the longest first
  for (i64 s = 0; s < p.sequence_count; ++s) {
    order.push_back({p.sequence_starts[s], p.sequence_starts[s + 1] - p.sequence_starts[s]});
  }
  std::stable_sort(order.begin(), order.end(), [](const Span& a, const Span& b) { return a.rows > b.rows; });
  plan.longest = order.empty() ? 0 : order[0].rows;
  const i64 head_bytes = p.rows * plan.total_width() * static_cast<i64>(sizeof(float));
  const i64 fit = head_bytes == 0 ? p.heads : static_cast<i64>(kSharedBytes) / head_bytes;
  const i64 busy = (4 * cx.pool().size() + p.sequence_count - 1) / std::max<i64>(1, p.sequence_count);
  plan.wave = std::min(p.heads, (std::max(fit, busy) + plan.group - 1) / plan.group * plan.group);
  plan.totals = static_cast<float*>(cx.scratch().shared(0, static_cast<std::size_t>(plan.wave * head_bytes) + 64));
  plan.dk2_sums =
      static_cast<float*>(cx.scratch().shared(1, static_cast<std::size_t>(p.rows * p.d2) * sizeof(float) + 64));
  for (i64 first = 0; first < p.heads; first += plan.wave) {
    const i64 heads = std::min(plan.wave, p.heads - first);
    cx.pool().run(p.sequence_count * heads, [&](i64 i, int worker) {
      Carver measure(nullptr);
      BackwardHead<T>(plan, measure);
      Carver from(cx.scratch().worker(worker, measure.used()));
      const Span& s = order[static_cast<std::size_t>(i / heads)];
      BackwardHead<T>(plan, from).run(s.begin, s.rows, first + i % heads, i % heads);
    });
    if (plan.total_width() == 0) continue;
    cx.pool().run((p.rows + kRowsOfSum - 1) / kRowsOfSum, [&](i64 i, int) {
      sum_heads<T>(plan, first, heads, i * kRowsOfSum, std::min(p.rows, (i + 1) * kRowsOfSum));
    });
  }
}

}  // namespace

void attention_backward(const Context& cx, const AttentionBackward& p) {
  HADAL_ASSERT(p.act == DType::f32 || p.act == DType::bf16);
  HADAL_ASSERT(p.heads % p.kv_heads == 0);
  if (p.act == DType::f32) {
    run_backward<float>(cx, p);
  } else {
    run_backward<bf16>(cx, p);
  }
}

}  // namespace hadal::kernels::HADAL_ISA_NS
