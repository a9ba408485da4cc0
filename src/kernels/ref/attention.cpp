// Reference attention: the order over keys of docs/numerics.md, written out for one query row at a time.
#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/ref/scalar.h"

namespace hadal::kernels::ref {

namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();

struct Keys {
  const KeyTile* tiles;
  i64 d1, d2, dv, k1_row, k2_row, v_row, k1_offset, v_offset;
  DType act;
  float key(i64 position, i64 i) const {
    const KeyTile& t = tiles[position / kKeyTile];
    const i64 row = position % kKeyTile;
    return i < d1 ? get(t.k1, row * k1_row + k1_offset + i, act) : get(t.k2, row * k2_row + i - d1, act);
  }
  float value(i64 position, i64 i) const {
    return get(tiles[position / kKeyTile].v, (position % kKeyTile) * v_row + v_offset + i, act);
  }
};

// Running softmax of one row: max, sum of exponentials, weighted values.
struct State {
  float most = kNone, sum = 0;
  std::vector<float> acc;
};

float score(const Keys& keys, const void* q, i64 q_offset, i64 position, float scale) {
  const i64 d = keys.d1 + keys.d2;
  return scale * dot(d, dot_chunk(d), keys.act == DType::bf16, [&](i64 i) { return get(q, q_offset + i, keys.act); },
                     [&](i64 i) { return keys.key(position, i); });
}

// Adds the tile that begins at `first`; keys after `last` have P = 0.
void add_tile(const Keys& keys, const void* q, i64 q_offset, i64 first, i64 last, float scale, State& s) {
  float p[kKeyTile] = {};
  float most = s.most;
  const i64 n = std::min(kKeyTile, last - first + 1);
  for (i64 j = 0; j < n; ++j) most = std::max(most, p[j] = score(keys, q, q_offset, first + j, scale));
  Sum16 sum;
  for (i64 j = 0; j < kKeyTile; ++j) {
    p[j] = j < n ? exp(p[j] - most) : 0.0f;
    sum.add(j, p[j]);
    if (keys.act == DType::bf16) p[j] = static_cast<float>(bf16(p[j]));
  }
  const float rescale = exp(s.most - most);
  s.sum = std::fma(s.sum, rescale, sum.total());
  for (i64 i = 0; i < keys.dv; ++i) {
    const float add = dot(kKeyTile, kKeyTile, keys.act == DType::bf16, [&](i64 j) { return p[j]; },
                          [&](i64 j) { return j < n ? keys.value(first + j, i) : 0.0f; });
    float& acc = s.acc[static_cast<std::size_t>(i)];
    acc = std::fma(acc, rescale, add);
  }
  s.most = most;
}

void merge(const State& chunk, State& total) {
  const float most = std::max(total.most, chunk.most);
  const float old_scale = exp(total.most - most), new_scale = exp(chunk.most - most);
  total.sum = std::fma(total.sum, old_scale, chunk.sum * new_scale);
  for (std::size_t i = 0; i < total.acc.size(); ++i) total.acc[i] = std::fma(total.acc[i], old_scale, chunk.acc[i] * new_scale);
  total.most = most;
}

State attend(const Keys& keys, const void* q, i64 q_offset, i64 last, float scale) {
  State total{.acc = std::vector<float>(static_cast<std::size_t>(keys.dv), 0.0f)};
  for (i64 begin = 0; begin <= last; begin += kKeyChunk) {
    State chunk{.acc = std::vector<float>(static_cast<std::size_t>(keys.dv), 0.0f)};
    for (i64 first = begin; first <= last && first < begin + kKeyChunk; first += kKeyTile) {
      add_tile(keys, q, q_offset, first, last, scale, chunk);
    }
    merge(chunk, total);
  }
  return total;
}

}  // namespace

void attention(const Context&, const Attention& p) {
  for (i64 n = 0; n < p.sequence_count; ++n) {
    const AttentionSequence& seq = p.sequences[n];
    for (i64 r = seq.row_begin; r < seq.row_end; ++r) {
      for (i64 h = 0; h < p.heads; ++h) {
        const i64 kv = h / (p.heads / p.kv_heads);
        const Keys keys{seq.tiles, p.d1, p.d2, p.dv, p.k1_row, p.k2_row, p.v_row, kv * p.k1_head, kv * p.v_head, p.act};
        const State s = attend(keys, p.q, (r * p.heads + h) * (p.d1 + p.d2), seq.first_position + r - seq.row_begin, p.scale);
        for (i64 i = 0; i < p.dv; ++i) put(p.out, (r * p.heads + h) * p.dv + i, p.act, s.acc[static_cast<std::size_t>(i)] / s.sum);
        if (p.lse != nullptr) p.lse[r * p.heads + h] = s.most + std::log(s.sum);
      }
    }
  }
}

namespace {

// One head of one sequence: every gradient in f32, keys and values as rows of the batch.
struct HeadBackward {
  const AttentionBackward& p;
  i64 begin, end, head;
  std::vector<float> dk, dv;  // (rows, d1 + d2), (rows, dv)

  float key(i64 row, i64 i) const {
    const i64 kv = head / (p.heads / p.kv_heads);
    return i < p.d1 ? get(p.k1, row * p.k1_row + kv * p.k1_head + i, p.act) : get(p.k2, row * p.k2_row + i - p.d1, p.act);
  }
  float value(i64 row, i64 i) const { return get(p.v, row * p.v_row + head / (p.heads / p.kv_heads) * p.v_head + i, p.act); }
  float rounded(float x) const { return p.act == DType::bf16 ? static_cast<float>(bf16(x)) : x; }

  void run() {
    const i64 d = p.d1 + p.d2;
    dk.assign(static_cast<std::size_t>((end - begin) * d), 0.0f);
    dv.assign(static_cast<std::size_t>((end - begin) * p.dv), 0.0f);
    std::vector<float> dq(static_cast<std::size_t>(d));
    for (i64 r = begin; r < end; ++r) {
      const i64 q = (r * p.heads + head) * d, o = (r * p.heads + head) * p.dv;
      float delta = 0;
      for (i64 i = 0; i < p.dv; ++i) delta = std::fma(get(p.d_out, o + i, p.act), get(p.out, o + i, p.act), delta);
      std::fill(dq.begin(), dq.end(), 0.0f);
      for (i64 t = begin; t <= r; ++t) {
        float s = 0, dp = 0;
        for (i64 i = 0; i < d; ++i) s = std::fma(get(p.q, q + i, p.act), key(t, i), s);
        for (i64 i = 0; i < p.dv; ++i) dp = std::fma(get(p.d_out, o + i, p.act), value(t, i), dp);
        const float probability = exp(s * p.scale - p.lse[r * p.heads + head]);
        const float ds = rounded(probability * (dp - delta) * p.scale);
        for (i64 i = 0; i < p.dv; ++i) {
          float& out = dv[static_cast<std::size_t>((t - begin) * p.dv + i)];
          out = std::fma(rounded(probability), get(p.d_out, o + i, p.act), out);
        }
        for (i64 i = 0; i < d; ++i) {
          dq[static_cast<std::size_t>(i)] = std::fma(ds, key(t, i), dq[static_cast<std::size_t>(i)]);
          float& out = dk[static_cast<std::size_t>((t - begin) * d + i)];
          out = std::fma(ds, get(p.q, q + i, p.act), out);
        }
      }
      for (i64 i = 0; i < d; ++i) put(p.dq, q + i, p.act, dq[static_cast<std::size_t>(i)]);
    }
  }
};

}  // namespace

void attention_backward(const Context&, const AttentionBackward& p) {
  const i64 group = p.heads / p.kv_heads, d = p.d1 + p.d2;
  for (i64 n = 0; n < p.sequence_count; ++n) {
    const i64 begin = p.sequence_starts[n], end = p.sequence_starts[n + 1];
    std::vector<float> shared(static_cast<std::size_t>((end - begin) * p.d2), 0.0f);
    for (i64 kv = 0; kv < p.kv_heads; ++kv) {
      std::vector<float> dk1(static_cast<std::size_t>((end - begin) * p.d1), 0.0f), dv(static_cast<std::size_t>((end - begin) * p.dv), 0.0f);
      for (i64 h = kv * group; h < (kv + 1) * group; ++h) {
        HeadBackward head{p, begin, end, h, {}, {}};
        head.run();
        for (i64 t = 0; t < end - begin; ++t) {
          for (i64 i = 0; i < p.d1; ++i) dk1[static_cast<std::size_t>(t * p.d1 + i)] += head.dk[static_cast<std::size_t>(t * d + i)];
          for (i64 i = 0; i < p.d2; ++i) shared[static_cast<std::size_t>(t * p.d2 + i)] += head.dk[static_cast<std::size_t>(t * d + p.d1 + i)];
          for (i64 i = 0; i < p.dv; ++i) dv[static_cast<std::size_t>(t * p.dv + i)] += head.dv[static_cast<std::size_t>(t * p.dv + i)];
        }
      }
      for (i64 t = 0; t < end - begin; ++t) {
        for (i64 i = 0; i < p.d1; ++i) put(p.dk1, (begin + t) * p.k1_row + kv * p.k1_head + i, p.act, dk1[static_cast<std::size_t>(t * p.d1 + i)]);
        for (i64 i = 0; i < p.dv; ++i) put(p.dv_out, (begin + t) * p.v_row + kv * p.v_head + i, p.act, dv[static_cast<std::size_t>(t * p.dv + i)]);
      }
    }
    for (i64 t = 0; t < end - begin; ++t) {
      for (i64 i = 0; i < p.d2; ++i) put(p.dk2, (begin + t) * p.k2_row + i, p.act, shared[static_cast<std::size_t>(t * p.d2 + i)]);
    }
  }
}

}  // namespace hadal::kernels::ref
