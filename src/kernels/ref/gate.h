// The definition of the gate on one row: scores, choice, weights (SPEC §2.1, §2.2) and their gradient.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/ref/scalar.h"

namespace hadal::kernels::ref {

// scores (experts) of logits (experts): sigmoid, or softmax over all experts.
template <class N>
void score_row(GateScore score, i64 experts, const N* logits, N* scores) {
  if (score == GateScore::sigmoid) {
    for (i64 e = 0; e < experts; ++e) scores[e] = sigmoid(logits[e]);
    return;
  }
  const N most = *std::max_element(logits, logits + experts);
  PartialSums<N> sum;
  for (i64 e = 0; e < experts; ++e) sum.add(e, scores[e] = exp(logits[e] - most));
  const N total = sum.total();
  for (i64 e = 0; e < experts; ++e) scores[e] /= total;
}

// -inf for the experts of all groups but the best top_groups (score, then lowest group).
template <class N>
void leave_out_groups(const Gate& p, N* select) {
  constexpr N kLeftOut = -std::numeric_limits<N>::infinity();
  const i64 size = p.experts / p.groups;
  std::vector<N> score;
  for (i64 g = 0; g < p.groups; ++g) {
    N first = kLeftOut, second = kLeftOut;
    for (i64 e = g * size; e < (g + 1) * size; ++e) {
      if (select[e] > first) {
        second = first;
        first = select[e];
      } else if (select[e] > second) {
        second = select[e];
      }
    }
    score.push_back(p.group_score == GroupScore::top2_sum && size > 1 ? first + second : first);
  }
  for (std::size_t g = 0; g < score.size(); ++g) {
    i64 better = 0;
    for (std::size_t o = 0; o < score.size(); ++o) better += score[o] > score[g] || (score[o] == score[g] && o < g);
    if (better >= p.top_groups) std::fill_n(select + static_cast<i64>(g) * size, size, kLeftOut);
  }
}

// ids (top_k), ascending: the best by (score + bias, then lowest number). NaN counts as -inf.
template <class N>
void choose_row(const Gate& p, const N* scores, const N* bias, i32* ids) {
  std::vector<N> select(scores, scores + p.experts);
  for (std::size_t e = 0; e < select.size(); ++e) {
    if (bias != nullptr) select[e] += bias[e];
    if (std::isnan(select[e])) select[e] = -std::numeric_limits<N>::infinity();
  }
  if (p.group_score != GroupScore::none) leave_out_groups(p, select.data());
  std::vector<i32> order(select.size());
  for (std::size_t e = 0; e < order.size(); ++e) order[e] = static_cast<i32>(e);
  std::stable_sort(order.begin(), order.end(), [&](i32 a, i32 b) {
    return select[static_cast<std::size_t>(a)] > select[static_cast<std::size_t>(b)];
  });
  std::copy_n(order.begin(), p.top_k, ids);
  std::sort(ids, ids + p.top_k);
}

// Settings from p; rows as in Gate: logits, scores (experts), ids, forced, weights (top_k).
template <class N>
void gate_row(const Gate& p, const N* logits, const N* bias, const i32* forced, N* scores, i32* ids, N* weights) {
  score_row(p.score, p.experts, logits, scores);
  if (forced != nullptr) {
    std::copy_n(forced, p.top_k, ids);
  } else {
    choose_row(p, scores, bias, ids);
  }
  N sum = 0;
  for (i64 j = 0; j < p.top_k; ++j) sum += weights[j] = scores[ids[j]];
  for (i64 j = 0; j < p.top_k; ++j) {
    weights[j] = (p.normalise ? weights[j] / (sum + N(1e-20)) : weights[j]) * static_cast<N>(p.scale);
  }
}

// The gradient with respect to the scores. f (experts) is the row's balance_f or null; ds (experts).
template <class N>
void gate_score_gradient(const GateBackward& p, const N* s, const i32* ids, const N* dw, const N* f, N* ds) {
  std::fill_n(ds, p.experts, N(0));
  N sum = 0, inner = 0;
  for (i64 j = 0; j < p.top_k; ++j) {
    sum += s[ids[j]];
    inner = std::fma(dw[j], s[ids[j]], inner);
  }
  sum += N(1e-20);
  for (i64 j = 0; j < p.top_k; ++j) {
    // w_i = scale s_i / sum: dw_i / ds_j = scale (delta_ij - s_i / sum) / sum
    ds[ids[j]] = static_cast<N>(p.scale) * (p.normalise ? (dw[j] - inner / sum) / sum : dw[j]);
  }
  if (f == nullptr) return;
  PartialSums<N> total, weighted;
  for (i64 e = 0; e < p.experts; ++e) {
    total.add(e, s[e]);
    weighted.add_product(e, f[e], s[e]);
  }
  const N mean = weighted.total() / total.total();
  for (i64 e = 0; e < p.experts; ++e) ds[e] += (f[e] - mean) / total.total();
}

template <class N>
void gate_backward_row(const GateBackward& p, const N* s, const i32* ids, const N* dw, const N* f, N* d_logits) {
  std::vector<N> ds(static_cast<std::size_t>(p.experts));
  gate_score_gradient(p, s, ids, dw, f, ds.data());
  if (p.score == GateScore::sigmoid) {
    for (i64 e = 0; e < p.experts; ++e) d_logits[e] = ds[static_cast<std::size_t>(e)] * s[e] * (N(1) - s[e]);
    return;
  }
  PartialSums<N> mean;
  for (i64 e = 0; e < p.experts; ++e) mean.add_product(e, ds[static_cast<std::size_t>(e)], s[e]);
  for (i64 e = 0; e < p.experts; ++e) d_logits[e] = s[e] * (ds[static_cast<std::size_t>(e)] - mean.total());
}

}  // namespace hadal::kernels::ref
