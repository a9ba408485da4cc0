// The definition of attention, templated on the number N that is computed with and the storage S of activations
// (float or bf16 with N = float; double with double, for gradient checks).
//
// One row of one head. Keys 0..position in tiles of 64, chunks of 512, all counted from the sequence's first key.
//   score_j = dot(q, k_j) * scale                                      dot: the contract of kernels.h over [d1 ; d2]
//   tile:  m' = max(m, max score), r = exp(m - m'), P_j = exp(score_j - m')
//          l = fma(l, r, sum P)        sum: partial j mod 16 in rising order, then lanes 8, 4, 2, 1 apart
//          acc = fma(acc, r, s)        s: the contract dot of P and v over the tile's keys; bf16: P rounded first
//          In bf16 these two products take subnormals as zero and make none (kernels/flush.h), as those of the
//          backward.
//   chunk: starts from m = -inf, l = 0, acc = 0. Merging chunk c into the total (M, L, A), c rising:
//          M' = max(M, m), a = exp(M - M'), b = exp(m - M'), L = fma(L, a, l * b), A = fma(A, a, acc * b)
//   out = A / L + 0 (a zero is always +0), lse = M + log(L).
// The rescaling is applied always, also by 1, so that every path does the same arithmetic.
//
// Backward, per head: P = exp(score - lse), dP = dot(d_out, v), dS = (P * (dP - D)) * scale; in bf16 P and dS rounded
// for the products that follow. Query rows, too, are in tiles of 64 from the sequence's start. D = dot16(d_out, out);
// in the first tile, whose rows see no other keys, D = dot16(P, dP), so that dS of a row sums to 0 whatever out's
// rounding was: few keys nearly cancel, and a row that sees only itself has nothing to learn.
//   dv_j = sum over query tiles, rising, of the dot over the tile's rows of P and d_out (acc = acc + s from +0)
//   dk_j = the same with dS and q;   dq_i = sum over key tiles, rising, of the dot over the tile's keys of dS and k
// A head's totals are added in rising order of heads where heads share a key or value; + 0; one rounding.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/threads.h"
#include "kernels/flush.h"
#include "kernels/kernels.h"
#include "kernels/ref/scalar.h"

namespace hadal::kernels::ref {

template <class N>
N exp_of(N x) {
  if constexpr (std::is_same_v<N, float>) {
    return exp(x);
  } else {
    return std::exp(x);
  }
}

template <class S>
inline constexpr bool is_pairs = std::is_same_v<S, bf16>;

// dot of a(k), b(k), k in [begin, end), as one chunk: s = +0, fma rising; bf16: per pair the odd element first.
template <class N, bool kPairs, class A, class B>
N dot_run(i64 begin, i64 end, A&& a, B&& b) {
  N s = 0;
  if constexpr (kPairs) {
    for (i64 k = begin; k < end; k += 2) {
      if (k + 1 < end) s = std::fma(static_cast<N>(a(k + 1)), static_cast<N>(b(k + 1)), s);
      s = std::fma(static_cast<N>(a(k)), static_cast<N>(b(k)), s);
    }
  } else {
    for (i64 k = begin; k < end; ++k) s = std::fma(static_cast<N>(a(k)), static_cast<N>(b(k)), s);
  }
  return s;
}

// Where the products of bf16 are computed with: subnormals are taken as zero. In double nothing is.
template <class N, class S>
inline constexpr bool flushed = std::is_same_v<S, bf16> && std::is_same_v<N, float>;

// The dot product contract: chunks of dot_chunk(n).
template <class N, class S, class A, class B>
N dot_contract(i64 n, A&& a, B&& b) {
  const i64 chunk = dot_chunk(n);
  N acc = 0;
  run_products<flushed<N, S>>([&] {
    for (i64 k = 0; k < n; k += chunk) acc = dot_run<N, is_pairs<S>>(k, std::min(n, k + chunk), a, b) + acc;
  });
  return acc;
}

// Sixteen partial sums added as a tree, 8, 4, 2, 1 apart.
template <class N>
N tree16(N (&lanes)[16]) {
  for (int step = 8; step > 0; step /= 2) {
    for (int i = 0; i < step; ++i) lanes[i] = lanes[i] + lanes[i + step];
  }
  return lanes[0];
}

// Sixteen partial sums: products k mod 16, k rising; then the tree.
template <class N>
N dot16(const N* a, const N* b, i64 n) {
  N lanes[16] = {};
  for (i64 k = 0; k < n; ++k) lanes[k % 16] = std::fma(a[k], b[k], lanes[k % 16]);
  return tree16(lanes);
}

// What a product after the softmax sees: rounded to the storage type, a subnormal number to zero.
template <class N, class S>
N rounded(N x) {
  if (flushed<N, S> && std::abs(x) < std::numeric_limits<float>::min()) return 0;
  return static_cast<N>(S(x));
}

template <class N>
struct AttentionState {
  N m = -std::numeric_limits<N>::infinity(), l = 0;
  std::vector<N> acc;
};

// Adds one tile of `keys` keys, whose scores are given, to a chunk's state.
template <class N, class S, class Value>
void attention_tile(AttentionState<N>& st, const N* scores, i64 keys, Value&& value) {
  N top = st.m;
  for (i64 j = 0; j < keys; ++j) top = std::max(top, scores[j]);
  const N r = exp_of(st.m - top);
  N p[kKeyTile] = {}, lanes[16] = {};
  for (i64 j = 0; j < keys; ++j) {
    p[j] = exp_of(scores[j] - top);
    lanes[j % 16] += p[j];
  }
  st.l = std::fma(st.l, r, tree16(lanes));
  for (N& x : p) x = rounded<N, S>(x);
  run_products<flushed<N, S>>([&] {
    for (i64 c = 0; c < static_cast<i64>(st.acc.size()); ++c) {
      const N s = dot_run<N, is_pairs<S>>(
          0, keys, [&](i64 j) { return p[j]; }, [&](i64 j) { return value(j, c); });
      st.acc[c] = std::fma(st.acc[c], r, s);
    }
  });
  st.m = top;
}

template <class N>
void attention_merge(AttentionState<N>& total, const AttentionState<N>& chunk) {
  const N top = std::max(total.m, chunk.m);
  const N a = exp_of(total.m - top), b = exp_of(chunk.m - top);
  total.l = std::fma(total.l, a, chunk.l * b);
  for (std::size_t c = 0; c < total.acc.size(); ++c) total.acc[c] = std::fma(total.acc[c], a, chunk.acc[c] * b);
  total.m = top;
}

// One query row of one head; lse may be null.
template <class N, class S>
void attention_row(const Attention& p, const AttentionSequence& seq, i64 row, i64 head, N* lse) {
  const i64 width = p.d1 + p.d2, kv = head / (p.heads / p.kv_heads);
  const S* q = static_cast<const S*>(p.q) + (row * p.heads + head) * width;
  S* out = static_cast<S*>(p.out) + (row * p.heads + head) * p.dv;
  const i64 length = seq.first_position + row - seq.row_begin + 1;
  const std::vector<N> zeros(static_cast<std::size_t>(p.dv), N(0));
  AttentionState<N> total{.acc = zeros}, chunk;
  for (i64 t = 0; t * kKeyTile < length; ++t) {
    if (t * kKeyTile % kKeyChunk == 0) chunk = {.acc = zeros};
    const KeyTile& tile = seq.tiles[t];
    const S* k1 = static_cast<const S*>(tile.k1) + kv * p.k1_head;
    const S* k2 = static_cast<const S*>(tile.k2);
    const S* v = static_cast<const S*>(tile.v) + kv * p.v_head;
    const i64 keys = std::min(kKeyTile, length - t * kKeyTile);
    N scores[kKeyTile];
    for (i64 j = 0; j < keys; ++j) {
      const auto key = [&](i64 c) { return c < p.d1 ? k1[j * p.k1_row + c] : k2[j * p.k2_row + c - p.d1]; };
      scores[j] = dot_contract<N, S>(
                      width, [&](i64 c) { return q[c]; }, key) *
                  static_cast<N>(p.scale);
    }
    attention_tile<N, S>(chunk, scores, keys, [&](i64 j, i64 c) { return v[j * p.v_row + c]; });
    if ((t + 1) * kKeyTile % kKeyChunk == 0 || (t + 1) * kKeyTile >= length) attention_merge(total, chunk);
  }
  for (i64 c = 0; c < p.dv; ++c) out[c] = S(total.acc[static_cast<std::size_t>(c)] / total.l + N(0));
  if (lse != nullptr) lse[row * p.heads + head] = total.m + std::log(total.l);
}

// p.lse is not looked at: lse (T, heads) or null is given in N.
template <class N, class S>
void attention_forward(ThreadPool& pool, const Attention& p, N* lse) {
  for (i64 s = 0; s < p.sequence_count; ++s) {
    const AttentionSequence& seq = p.sequences[s];
    pool.run(seq.row_end - seq.row_begin, [&](i64 row, int) {
      for (i64 h = 0; h < p.heads; ++h) attention_row<N, S>(p, seq, seq.row_begin + row, h, lse);
    });
  }
}

// Gradients of one head over one sequence, before heads are summed.
template <class N>
struct HeadGradients {
  std::vector<N> dk, dv;  // (rows, d1 + d2), (rows, dv)
};

template <class N, class S>
struct HeadBackward {
  const AttentionBackward& p;
  const N* lse;
  i64 begin, rows, head;
  i64 width = p.d1 + p.d2, kv = head / (p.heads / p.kv_heads);

  S q(i64 i, i64 c) const { return static_cast<const S*>(p.q)[((begin + i) * p.heads + head) * width + c]; }
  S d_out(i64 i, i64 c) const { return static_cast<const S*>(p.d_out)[((begin + i) * p.heads + head) * p.dv + c]; }
  S out(i64 i, i64 c) const { return static_cast<const S*>(p.out)[((begin + i) * p.heads + head) * p.dv + c]; }
  S v(i64 j, i64 c) const { return static_cast<const S*>(p.v)[(begin + j) * p.v_row + kv * p.v_head + c]; }
  S k(i64 j, i64 c) const {
    return c < p.d1 ? static_cast<const S*>(p.k1)[(begin + j) * p.k1_row + kv * p.k1_head + c]
                    : static_cast<const S*>(p.k2)[(begin + j) * p.k2_row + c - p.d1];
  }
  N delta(i64 i) const {
    std::vector<N> a(static_cast<std::size_t>(p.dv)), b = a;
    for (i64 c = 0; c < p.dv; ++c) {
      a[static_cast<std::size_t>(c)] = static_cast<N>(d_out(i, c));
      b[static_cast<std::size_t>(c)] = static_cast<N>(out(i, c));
    }
    return dot16(a.data(), b.data(), p.dv);
  }

  // P and dS of a tile of query rows [i0, i1) and keys [j0, j1); 0 where the row does not see the key.
  using Tile = N[kKeyTile][kKeyTile];
  void tile(i64 i0, i64 i1, i64 j0, i64 j1, const N* deltas, Tile& prob, Tile& ds) const {
    for (i64 i = i0; i < i1; ++i) {
      for (i64 j = j0; j < j1; ++j) {
        prob[i - i0][j - j0] = ds[i - i0][j - j0] = 0;
        if (j > i) continue;
        const N dot = dot_contract<N, S>(
            width, [&](i64 c) { return q(i, c); }, [&](i64 c) { return k(j, c); });
        const N pr = exp_of(dot * static_cast<N>(p.scale) - lse[(begin + i) * p.heads + head]);
        const N dp = dot_contract<N, S>(
            p.dv, [&](i64 c) { return d_out(i, c); }, [&](i64 c) { return v(j, c); });
        prob[i - i0][j - j0] = pr;
        ds[i - i0][j - j0] = dp;
      }
      const N delta = i < kKeyTile ? dot16(prob[i - i0], ds[i - i0], i - j0 + 1) : deltas[i];
      for (i64 j = j0; j < std::min(j1, i + 1); ++j) {
        N &pr = prob[i - i0][j - j0], &dp = ds[i - i0][j - j0];
        dp = rounded<N, S>((pr * (dp - delta)) * static_cast<N>(p.scale));
        pr = rounded<N, S>(pr);
      }
    }
  }

  // What the tile adds to the gradients of its keys, values and queries.
  void add_products(i64 i0, i64 i1, i64 j0, i64 j1, const Tile& prob, const Tile& ds, HeadGradients<N>& g,
                    N* dq) const {
    for (i64 j = j0; j < j1; ++j) {
      for (i64 c = 0; c < p.dv; ++c) {
        g.dv[j * p.dv + c] += dot_run<N, is_pairs<S>>(
            0, i1 - i0, [&](i64 i) { return prob[i][j - j0]; }, [&](i64 i) { return d_out(i0 + i, c); });
      }
      for (i64 c = 0; c < width; ++c) {
        g.dk[j * width + c] += dot_run<N, is_pairs<S>>(
            0, i1 - i0, [&](i64 i) { return ds[i][j - j0]; }, [&](i64 i) { return q(i0 + i, c); });
      }
    }
    for (i64 i = i0; i < i1; ++i) {
      for (i64 c = 0; c < width; ++c) {
        dq[i * width + c] += dot_run<N, is_pairs<S>>(
            0, j1 - j0, [&](i64 j) { return ds[i - i0][j]; }, [&](i64 j) { return k(j0 + j, c); });
      }
    }
  }

  HeadGradients<N> run() const {
    HeadGradients<N> g{std::vector<N>(static_cast<std::size_t>(rows * width)),
                       std::vector<N>(static_cast<std::size_t>(rows * p.dv))};
    std::vector<N> dq(static_cast<std::size_t>(rows * width)), deltas(static_cast<std::size_t>(rows));
    for (i64 i = 0; i < rows; ++i) deltas[i] = delta(i);
    Tile prob, ds;
    for (i64 j0 = 0; j0 < rows; j0 += kKeyTile) {
      const i64 j1 = std::min(rows, j0 + kKeyTile);
      for (i64 i0 = j0; i0 < rows; i0 += kKeyTile) {
        const i64 i1 = std::min(rows, i0 + kKeyTile);
        tile(i0, i1, j0, j1, deltas.data(), prob, ds);
        run_products<flushed<N, S>>([&] { add_products(i0, i1, j0, j1, prob, ds, g, dq.data()); });
      }
    }
    S* out_dq = static_cast<S*>(p.dq);
    for (i64 i = 0; i < rows; ++i) {
      for (i64 c = 0; c < width; ++c) out_dq[((begin + i) * p.heads + head) * width + c] = S(dq[i * width + c] + N(0));
    }
    return g;
  }
};

// Adds the gradients of heads that share a key or value, in rising order, and stores them.
template <class N, class S>
void attention_store_key_gradients(const AttentionBackward& p, i64 begin, i64 rows,
                                   const std::vector<HeadGradients<N>>& heads) {
  const i64 width = p.d1 + p.d2, group = p.heads / p.kv_heads;
  const auto total = [&](i64 first, i64 count, auto&& element) {
    N s = element(heads[static_cast<std::size_t>(first)]);
    for (i64 h = first + 1; h < first + count; ++h) s = s + element(heads[static_cast<std::size_t>(h)]);
    return S(s + N(0));
  };
  for (i64 j = 0; j < rows; ++j) {
    for (i64 kv = 0; kv < p.kv_heads; ++kv) {
      S* dk1 = static_cast<S*>(p.dk1) + (begin + j) * p.k1_row + kv * p.k1_head;
      S* dv = static_cast<S*>(p.dv_out) + (begin + j) * p.v_row + kv * p.v_head;
      for (i64 c = 0; c < p.d1; ++c) dk1[c] = total(kv * group, group, [&](auto& g) { return g.dk[j * width + c]; });
      for (i64 c = 0; c < p.dv; ++c) dv[c] = total(kv * group, group, [&](auto& g) { return g.dv[j * p.dv + c]; });
    }
    S* dk2 = p.d2 > 0 ? static_cast<S*>(p.dk2) + (begin + j) * p.k2_row : nullptr;
    for (i64 c = 0; c < p.d2; ++c) dk2[c] = total(0, p.heads, [&](auto& g) { return g.dk[j * width + p.d1 + c]; });
  }
}

// p.lse is not looked at: lse (T, heads) is given in N.
template <class N, class S>
void attention_backward(ThreadPool& pool, const AttentionBackward& p, const N* lse) {
  for (i64 s = 0; s < p.sequence_count; ++s) {
    const i64 begin = p.sequence_starts[s], rows = p.sequence_starts[s + 1] - begin;
    std::vector<HeadGradients<N>> heads(static_cast<std::size_t>(p.heads));
    pool.run(p.heads, [&](i64 h, int) {
      heads[static_cast<std::size_t>(h)] = HeadBackward<N, S>{p, lse, begin, rows, h}.run();
    });
    attention_store_key_gradients<N, S>(p, begin, rows, heads);
  }
}

}  // namespace hadal::kernels::ref
