// Gates with one well-known bug each.
#pragma once

#include <limits>
#include <numeric>

#include "planted_forward.h"

namespace hadal::planted {

template <auto kChange>  // of the parameters
void gate_with(const Context& cx, const Gate& p) {
  Gate q = p;
  kChange(q);
  real(cx).gate(cx, q);
}

inline constexpr auto kNoScale = [](Gate& p) { p.scale = 1; };
inline constexpr auto kNotNormalised = [](Gate& p) { p.normalise = false; };
inline constexpr auto kNormalised = [](Gate& p) { p.normalise = true; };
inline constexpr auto kSoftmax = [](Gate& p) { p.score = GateScore::softmax; };
inline constexpr auto kGroupMax = [](Gate& p) { p.group_score = GroupScore::max; };
inline constexpr auto kGroupTop2 = [](Gate& p) { p.group_score = GroupScore::top2_sum; };
inline constexpr auto kNoGroups = [](Gate& p) { p.group_score = GroupScore::none; };

// The right choice, weights made again from what `value` gives for (score, bias), then `finish` of a row of them.
template <class Value, class Finish>
void weigh_again(const Context& cx, const Gate& p, Value value, Finish finish) {
  real(cx).gate(cx, p);
  for (i64 t = 0; t < p.rows; ++t) {
    float* w = p.weights + t * p.top_k;
    for (i64 j = 0; j < p.top_k; ++j) {
      const i32 e = p.ids[t * p.top_k + j];
      w[j] = value(p.scores[t * p.experts + e], p.bias != nullptr ? p.bias[e] : 0.0f);
    }
    finish(w);
  }
}

inline void gate_weights_from_biased(const Context& cx, const Gate& p) {
  const auto normalise = [&](float* w) {
    const float sum = std::accumulate(w, w + p.top_k, 1e-20f);
    for (i64 j = 0; j < p.top_k; ++j) w[j] *= p.scale / sum;
  };
  weigh_again(
      cx, p, [](float score, float bias) { return score + bias; }, normalise);
}

// The normalisation then takes the factor out again.
inline void gate_scales_before_normalising(const Context& cx, const Gate& p) {
  const auto normalise = [&](float* w) {
    const float sum = std::accumulate(w, w + p.top_k, 1e-20f);
    for (i64 j = 0; j < p.top_k; ++j) w[j] /= sum;
  };
  weigh_again(
      cx, p, [&](float score, float) { return p.scale * score; }, normalise);
}

// Weights lie as top-k found them, best first, beside expert numbers that were sorted.
inline void gate_weights_unsorted(const Context& cx, const Gate& p) {
  real(cx).gate(cx, p);
  for (i64 t = 0; t < p.rows; ++t) std::sort(p.weights + t * p.top_k, p.weights + (t + 1) * p.top_k, std::greater<>());
}

inline void gate_in_bf16(const Context& cx, const Gate& p) {
  std::vector<float> logits(p.logits, p.logits + p.rows * p.experts);
  for (float& v : logits) v = static_cast<float>(bf16(v));
  Gate q = p;
  q.logits = logits.data();
  real(cx).gate(cx, q);
}

// The choice of one row as a router by groups makes it, with what the wrong code has in place of the biased scores that
// rank groups, and of -inf for the experts of groups left out.
inline std::vector<i32> choose(const Gate& p, const float* scores, bool groups_see_bias, float left_out) {
  const auto biased = [&](i64 e) { return scores[e] + (p.bias != nullptr ? p.bias[e] : 0.0f); };
  const i64 size = p.experts / p.groups;
  std::vector<float> group;
  for (i64 g = 0; g < p.groups; ++g) {
    std::vector<float> s;
    for (i64 e = g * size; e < (g + 1) * size; ++e) s.push_back(groups_see_bias ? biased(e) : scores[e]);
    std::sort(s.begin(), s.end(), std::greater<>());
    group.push_back(s[0] + s[1]);
  }
  std::vector<float> select;
  for (i64 e = 0; e < p.experts; ++e) {
    const auto better = std::count_if(group.begin(), group.end(),
                                      [&](float g) { return g > group[static_cast<std::size_t>(e / size)]; });
    select.push_back(better < p.top_groups ? biased(e) : left_out);
  }
  std::vector<i32> order(select.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](i32 a, i32 b) {
    return select[static_cast<std::size_t>(a)] > select[static_cast<std::size_t>(b)];
  });
  order.resize(static_cast<std::size_t>(p.top_k));
  std::sort(order.begin(), order.end());
  return order;
}

inline void gate_choosing(const Context& cx, const Gate& p, bool groups_see_bias, float left_out) {
  real(cx).gate(cx, p);
  std::vector<i32> forced;
  for (i64 t = 0; t < p.rows; ++t) {
    const std::vector<i32> ids = choose(p, p.scores + t * p.experts, groups_see_bias, left_out);
    forced.insert(forced.end(), ids.begin(), ids.end());
  }
  Gate q = p;
  q.forced = forced.data();
  real(cx).gate(cx, q);
}
inline void gate_masks_with_zero(const Context& cx, const Gate& p) { gate_choosing(cx, p, true, 0); }
inline void gate_groups_without_bias(const Context& cx, const Gate& p) {
  gate_choosing(cx, p, false, -std::numeric_limits<float>::infinity());
}

}  // namespace hadal::planted
