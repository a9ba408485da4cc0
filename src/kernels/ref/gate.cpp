// Reference gate: scores, choice, weights (SPEC §2.1, §2.2) and their gradient.
#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/ref/scalar.h"

namespace hadal::kernels::ref {

namespace {

constexpr float kLeftOut = -std::numeric_limits<float>::infinity();

void score_row(const Gate& p, const float* logits, float* scores) {
  if (p.score == GateScore::sigmoid) {
    for (i64 e = 0; e < p.experts; ++e) scores[e] = sigmoid(logits[e]);
    return;
  }
  const float most = *std::max_element(logits, logits + p.experts);
  Sum16 sum;
  for (i64 e = 0; e < p.experts; ++e) sum.add(e, scores[e] = exp(logits[e] - most));
  const float total = sum.total();
  for (i64 e = 0; e < p.experts; ++e) scores[e] /= total;
}

// -inf for the experts of all groups but the best top_groups (score, then lowest group).
void leave_out_groups(const Gate& p, std::vector<float>& select) {
  const i64 size = p.experts / p.groups;
  std::vector<float> score(static_cast<std::size_t>(p.groups));
  for (i64 g = 0; g < p.groups; ++g) {
    float first = kLeftOut, second = kLeftOut;
    for (i64 e = g * size; e < (g + 1) * size; ++e) {
      const float s = select[static_cast<std::size_t>(e)];
      if (s > first) {
        second = first;
        first = s;
      } else if (s > second) {
        second = s;
      }
    }
    score[static_cast<std::size_t>(g)] = p.group_score == GroupScore::top2_sum && size > 1 ? first + second : first;
  }
  for (i64 g = 0; g < p.groups; ++g) {
    i64 better = 0;
    for (i64 o = 0; o < p.groups; ++o) {
      const float mine = score[static_cast<std::size_t>(g)], other = score[static_cast<std::size_t>(o)];
      better += other > mine || (other == mine && o < g);
    }
    if (better >= p.top_groups) std::fill_n(select.begin() + g * size, size, kLeftOut);
  }
}

void choose(const Gate& p, const float* scores, i32* ids) {
  std::vector<float> select(scores, scores + p.experts);
  for (i64 e = 0; e < p.experts; ++e) {
    float& s = select[static_cast<std::size_t>(e)];
    if (p.bias != nullptr) s += p.bias[e];
    if (std::isnan(s)) s = kLeftOut;
  }
  if (p.group_score != GroupScore::none) leave_out_groups(p, select);
  std::vector<bool> taken(static_cast<std::size_t>(p.experts), false);
  for (i64 j = 0; j < p.top_k; ++j) {
    i64 best = -1;
    for (i64 e = 0; e < p.experts; ++e) {
      if (taken[static_cast<std::size_t>(e)]) continue;
      if (best < 0 || select[static_cast<std::size_t>(e)] > select[static_cast<std::size_t>(best)]) best = e;
    }
    taken[static_cast<std::size_t>(best)] = true;
    ids[j] = static_cast<i32>(best);
  }
  std::sort(ids, ids + p.top_k);
}

}  // namespace

void gate(const Context&, const Gate& p) {
  for (i64 t = 0; t < p.rows; ++t) {
    float* scores = p.scores + t * p.experts;
    i32* ids = p.ids + t * p.top_k;
    float* weights = p.weights + t * p.top_k;
    score_row(p, p.logits + t * p.experts, scores);
    if (p.forced != nullptr) {
      std::copy_n(p.forced + t * p.top_k, p.top_k, ids);
    } else {
      choose(p, scores, ids);
    }
    float sum = 0;
    for (i64 j = 0; j < p.top_k; ++j) sum += weights[j] = scores[ids[j]];
    for (i64 j = 0; j < p.top_k; ++j) weights[j] = (p.normalise ? weights[j] / (sum + 1e-20f) : weights[j]) * p.scale;
  }
}

void gate_backward(const Context&, const GateBackward& p) {
  std::vector<float> ds(static_cast<std::size_t>(p.experts));
  for (i64 t = 0; t < p.rows; ++t) {
    const float* s = p.scores + t * p.experts;
    const i32* ids = p.ids + t * p.top_k;
    const float* dw = p.d_weights + t * p.top_k;
    std::fill(ds.begin(), ds.end(), 0.0f);
    float sum = 0, inner = 0;
    for (i64 j = 0; j < p.top_k; ++j) {
      sum += s[ids[j]];
      inner += dw[j] * s[ids[j]];
    }
    sum += 1e-20f;
    for (i64 j = 0; j < p.top_k; ++j) {
      // w = scale s / sum: dw/ds_i = scale (delta_ij - s_j / sum) / sum
      ds[static_cast<std::size_t>(ids[j])] = p.normalise ? p.scale * (dw[j] - inner / sum) / sum : p.scale * dw[j];
    }
    if (p.balance_f != nullptr) {
      const float* f = p.balance_f + p.balance_sequence[t] * p.experts;
      float total = 0, weighted = 0;
      for (i64 e = 0; e < p.experts; ++e) {
        total += s[e];
        weighted += f[e] * s[e];
      }
      for (i64 e = 0; e < p.experts; ++e) ds[static_cast<std::size_t>(e)] += (f[e] - weighted / total) / total;
    }
    float* dz = p.d_logits + t * p.experts;
    if (p.score == GateScore::sigmoid) {
      for (i64 e = 0; e < p.experts; ++e) dz[e] = ds[static_cast<std::size_t>(e)] * s[e] * (1.0f - s[e]);
    } else {
      float mean = 0;
      for (i64 e = 0; e < p.experts; ++e) mean += ds[static_cast<std::size_t>(e)] * s[e];
      for (i64 e = 0; e < p.experts; ++e) dz[e] = s[e] * (ds[static_cast<std::size_t>(e)] - mean);
    }
  }
}

}  // namespace hadal::kernels::ref
