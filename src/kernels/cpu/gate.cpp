// The gate of the experts: scores, choice, weights (SPEC §2.1, §2.2) and their gradient; ref/gate.h is the definition.
#include <cmath>
#include <limits>

#include "kernels/cpu/lanes.h"
#include "kernels/declare.h"
#include "kernels/kernels.h"

namespace hadal::kernels::HADAL_ISA_NS {

HADAL_KERNELS(HADAL_DECLARE)

namespace {

constexpr float kLeftOut = -std::numeric_limits<float>::infinity();

void score_row(GateScore score, i64 experts, const float* logits, float* scores) {
  if (score == GateScore::sigmoid) {
    for_lanes(experts, [&](i64 e, auto lanes) { store(scores + e, sigmoid(load(logits + e, lanes)), lanes); });
    return;
  }
  F32x16 top = set1(kLeftOut), total = zero();
  for_lanes(experts, [&](i64 e, auto lanes) { top = max(top, fill(load(logits + e, lanes), kLeftOut, lanes)); });
  const F32x16 most = set1(max_lane(top));
  for_lanes(experts, [&](i64 e, auto lanes) {
    const F32x16 v = exp(load(logits + e, lanes) - most);
    total = total + fill(v, 0.0f, lanes);
    store(scores + e, v, lanes);
  });
  const F32x16 divisor = set1(sum(total));
  for_lanes(experts, [&](i64 e, auto lanes) { store(scores + e, load(scores + e, lanes) / divisor, lanes); });
}

// Room for one row's choice: select (experts), group (groups).
struct Choice {
  float *select, *group;
};

// The number of the greatest of n values, the lowest at ties; n if none is above -inf. No NaN; numbers are exact in
// f32.
i64 best_of(i64 n, const float* value) {
  alignas(64) static constexpr float kNumbers[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const F32x16 none = set1(static_cast<float>(n));
  F32x16 top = set1(kLeftOut), number = none;  // of each lane
  for_lanes(n, [&](i64 e, auto lanes) {
    const F32x16 v = fill(load(value + e, lanes), kLeftOut, lanes);
    number = select_less(top, v, load(kNumbers) + set1(static_cast<float>(e)), number);
    top = max(top, v);
  });
  const F32x16 most = set1(max_lane(top));
  return static_cast<i64>(-max_lane(negative(select_less(top, most, none, number))));
}

// ids (k), ascending: the k best of n values, by (value, then lowest number). Spoils the values.
void top_k(i64 n, float* value, i64 k, i32* ids) {
  i64 count = 0;
  for (; count < k; ++count) {
    const i64 e = best_of(n, value);
    if (e == n) break;
    ids[count] = static_cast<i32>(e);
    value[e] = kLeftOut;
  }
  // Only -inf is left: the lowest numbers that are not taken.
  for (i32 e = 0; count < k; ++e) {
    if (std::find(ids, ids + count, e) == ids + count) ids[count++] = e;
  }
  std::sort(ids, ids + k);
}

// -inf for the experts of all groups but the best top_groups (score, then lowest group).
void leave_out_groups(const Gate& p, const Choice& room) {
  const i64 size = p.experts / p.groups;
  for (i64 g = 0; g < p.groups; ++g) {
    float first = kLeftOut, second = kLeftOut;
    for (i64 e = g * size; e < (g + 1) * size; ++e) {
      const float s = room.select[e];
      second = std::max(second, std::min(first, s));
      first = std::max(first, s);
    }
    room.group[g] = p.group_score == GroupScore::top2_sum && size > 1 ? first + second : first;
  }
  for (i64 g = 0; g < p.groups; ++g) {
    i64 better = 0;
    for (i64 o = 0; o < p.groups; ++o) {
      better += room.group[o] > room.group[g] || (room.group[o] == room.group[g] && o < g);
    }
    if (better >= p.top_groups) std::fill_n(room.select + g * size, size, kLeftOut);
  }
}

void choose_row(const Gate& p, const float* scores, const Choice& room, i32* ids) {
  for_lanes(p.experts, [&](i64 e, auto lanes) {
    F32x16 s = load(scores + e, lanes);
    if (p.bias != nullptr) s = s + load(p.bias + e, lanes);
    store(room.select + e, max(s, set1(kLeftOut)), lanes);  // in this operand order NaN becomes -inf
  });
  if (p.group_score != GroupScore::none) leave_out_groups(p, room);
  top_k(p.experts, room.select, p.top_k, ids);
}

void weigh_row(const Gate& p, const float* scores, const i32* ids, float* weights) {
  float total = 0;
  for (i64 j = 0; j < p.top_k; ++j) total += weights[j] = scores[ids[j]];
  for (i64 j = 0; j < p.top_k; ++j) weights[j] = (p.normalise ? weights[j] / (total + 1e-20f) : weights[j]) * p.scale;
}

// ds (experts): the gradient with respect to the scores.
void score_gradient(const GateBackward& p, const float* s, const i32* ids, const float* dw, const float* f, float* ds) {
  std::fill_n(ds, p.experts, 0.0f);
  float chosen = 0, inner = 0;
  for (i64 j = 0; j < p.top_k; ++j) {
    chosen += s[ids[j]];
    inner = std::fma(dw[j], s[ids[j]], inner);
  }
  chosen += 1e-20f;
  for (i64 j = 0; j < p.top_k; ++j) ds[ids[j]] = p.scale * (p.normalise ? (dw[j] - inner / chosen) / chosen : dw[j]);
  if (f == nullptr) return;
  F32x16 total = zero(), weighted = zero();
  for_lanes(p.experts, [&](i64 e, auto lanes) {
    const F32x16 v = load(s + e, lanes);
    total = total + v;
    weighted = fma(load(f + e, lanes), v, weighted);
  });
  const float all = sum(total);
  const F32x16 divisor = set1(all), mean = set1(sum(weighted) / all);
  for_lanes(p.experts, [&](i64 e, auto lanes) {
    store(ds + e, load(ds + e, lanes) + (load(f + e, lanes) - mean) / divisor, lanes);
  });
}

// From the scores' gradient to the logits', in place.
void logit_gradient(const GateBackward& p, const float* scores, float* d) {
  if (p.score == GateScore::sigmoid) {
    for_lanes(p.experts, [&](i64 e, auto lanes) {
      const F32x16 s = load(scores + e, lanes);
      store(d + e, load(d + e, lanes) * s * (set1(1.0f) - s), lanes);
    });
    return;
  }
  F32x16 inner = zero();
  for_lanes(p.experts, [&](i64 e, auto lanes) { inner = fma(load(d + e, lanes), load(scores + e, lanes), inner); });
  const F32x16 mean = set1(sum(inner));
  for_lanes(p.experts,
            [&](i64 e, auto lanes) { store(d + e, load(scores + e, lanes) * (load(d + e, lanes) - mean), lanes); });
}

}  // namespace

void gate(const Context& cx, const Gate& p) {
  run_blocks(cx, p.rows, 8 * p.experts, [&](i64 begin, i64 end, int worker) {
    const i64 room_size = p.experts + p.groups;
    auto* room = static_cast<float*>(cx.scratch().worker(worker, static_cast<std::size_t>(room_size) * sizeof(float)));
    const Choice choice{room, room + p.experts};
    for (i64 t = begin; t < end; ++t) {
      float* scores = p.scores + t * p.experts;
      i32* ids = p.ids + t * p.top_k;
      score_row(p.score, p.experts, p.logits + t * p.experts, scores);
      if (p.forced != nullptr) {
        std::copy_n(p.forced + t * p.top_k, p.top_k, ids);
      } else {
        choose_row(p, scores, choice, ids);
      }
      weigh_row(p, scores, ids, p.weights + t * p.top_k);
    }
  });
}

void gate_backward(const Context& cx, const GateBackward& p) {
  run_blocks(cx, p.rows, 4 * p.experts, [&](i64 begin, i64 end, int) {
    for (i64 t = begin; t < end; ++t) {
      const float* scores = p.scores + t * p.experts;
      const float* f = p.balance_f != nullptr ? p.balance_f + p.balance_sequence[t] * p.experts : nullptr;
      float* d = p.d_logits + t * p.experts;
      score_gradient(p, scores, p.ids + t * p.top_k, p.d_weights + t * p.top_k, f, d);
      logit_gradient(p, scores, d);
    }
  });
}

}  // namespace hadal::kernels::HADAL_ISA_NS
