// Kernels of the backward, the losses and the optimizer with one well-known bug each. The forward stays right. All are
// for f32.
#pragma once

#include <cmath>

#include "planted_forward.h"

namespace hadal::planted {

// ---- losses

// Gradient softmax instead of softmax - onehot.
inline void cross_entropy_without_one_hot(const Context& cx, const CrossEntropy& p) {
  real(cx).cross_entropy(cx, p);
  if (p.d_logits == nullptr) return;
  for (i64 r = 0; r < p.rows; ++r) {
    if (p.targets[r] >= 0) static_cast<float*>(p.d_logits)[r * p.vocab + p.targets[r]] += p.coefficient[r];
  }
}

// MTP module k has B (T - k) predictions in v3_mtp, whose B T are 66; its loss is their own mean, not the sum over B T.
inline void cross_entropy_mean_of_own_rows(const Context& cx, const CrossEntropy& p) {
  if (p.coefficient == nullptr) return real(cx).cross_entropy(cx, p);  // log-probs
  const float more = 66.0f / static_cast<float>(p.rows);
  std::vector<float> coefficient(p.coefficient, p.coefficient + p.rows);
  for (float& c : coefficient) c *= more;
  CrossEntropy q = p;
  q.coefficient = coefficient.data();
  real(cx).cross_entropy(cx, q);
  for (i64 r = 0; r < p.rows; ++r) p.nll[r] *= more;
}

// ---- gradients

inline void rope_backward_turns_on(const Context& cx, const Rope& p) {
  Rope q = p;
  q.inverse = false;
  real(cx).rope(cx, q);
}

// The attention backward as if only heads with keep(head) had sent a gradient.
template <class Keep>
std::vector<float> masked_gradient(const AttentionBackward& p, Keep keep) {
  std::vector<float> d_out(static_cast<const float*>(p.d_out),
                           static_cast<const float*>(p.d_out) + p.rows * p.heads * p.dv);
  for (i64 r = 0; r < p.rows; ++r) {
    for (i64 h = 0; h < p.heads; ++h) {
      if (!keep(h)) std::fill_n(d_out.begin() + (r * p.heads + h) * p.dv, p.dv, 0.0f);
    }
  }
  return d_out;
}

// k_pe is shared by all heads, but only the first one's gradient comes back to it.
inline void attention_backward_first_head_of_k_pe(const Context& cx, const AttentionBackward& p) {
  real(cx).attention_backward(cx, p);
  const std::vector<float> d_out = masked_gradient(p, [](i64 h) { return h == 0; });
  std::vector<float> dq(static_cast<std::size_t>(p.rows * p.heads * (p.d1 + p.d2)));
  std::vector<float> dk1(static_cast<std::size_t>(p.rows * p.k1_row)), dv(static_cast<std::size_t>(p.rows * p.v_row));
  AttentionBackward q = p;
  q.d_out = d_out.data();
  q.dq = dq.data();
  q.dk1 = dk1.data();
  q.dv_out = dv.data();
  real(cx).attention_backward(cx, q);
}

// A key/value head gets the gradient of the first of its query heads only.
inline void attention_backward_first_head_of_group(const Context& cx, const AttentionBackward& p) {
  real(cx).attention_backward(cx, p);
  const i64 group = p.heads / p.kv_heads;
  const std::vector<float> d_out = masked_gradient(p, [group](i64 h) { return h % group == 0; });
  std::vector<float> dq(static_cast<std::size_t>(p.rows * p.heads * (p.d1 + p.d2)));
  AttentionBackward q = p;
  q.d_out = d_out.data();
  q.dq = dq.data();
  real(cx).attention_backward(cx, q);
}

// dx without the term that comes through the mean of squares.
inline void rms_norm_backward_without_mean(const Context& cx, const RmsNormBackward& p) {
  std::vector<float> unused(static_cast<std::size_t>(p.rows * p.d));
  RmsNormBackward q = p;
  q.dx = unused.data();
  q.lddx = p.d;
  q.dx_accumulate = false;
  real(cx).rms_norm_backward(cx, q);  // dw
  for (i64 r = 0; r < p.rows; ++r) {
    for (i64 c = 0; c < p.d; ++c) {
      float& dx = static_cast<float*>(p.dx)[r * p.lddx + c];
      dx = (p.dx_accumulate ? dx : 0.0f) + static_cast<const float*>(p.dy)[r * p.d + c] * p.w[c] * p.rstd[r];
    }
  }
}

// The derivative of g sigmoid(g) as sigmoid(g).
inline void swiglu_backward_half_of_silu(const Context& cx, const SwigluBackward& p) {
  const std::vector<float> g(static_cast<const float*>(p.g), static_cast<const float*>(p.g) + p.n);
  const std::vector<float> u(static_cast<const float*>(p.u), static_cast<const float*>(p.u) + p.n);
  const std::vector<float> dh(static_cast<const float*>(p.dh), static_cast<const float*>(p.dh) + p.n);
  real(cx).swiglu_backward(cx, p);
  for (std::size_t i = 0; i < g.size(); ++i) static_cast<float*>(p.dg)[i] = dh[i] * u[i] / (1 + std::exp(-g[i]));
}

inline void grouped_weight_grad_without_last_row(const Context& cx, const GroupedWeightGrad& p) {
  std::vector<float> dy(static_cast<const float*>(p.dy), static_cast<const float*>(p.dy) + p.offsets[p.groups] * p.n);
  for (i64 g = 0; g < p.groups; ++g) {
    if (p.offsets[g + 1] > p.offsets[g]) std::fill_n(dy.begin() + (p.offsets[g + 1] - 1) * p.n, p.n, 0.0f);
  }
  GroupedWeightGrad q = p;
  q.dy = dy.data();
  real(cx).grouped_weight_grad(cx, q);
}

inline void gate_backward_not_normalised(const Context& cx, const GateBackward& p) {
  GateBackward q = p;
  q.normalise = false;
  real(cx).gate_backward(cx, q);
}
inline void gate_backward_without_balance(const Context& cx, const GateBackward& p) {
  GateBackward q = p;
  q.balance_f = nullptr;
  real(cx).gate_backward(cx, q);
}
inline void combine_backward_without_weights(const Context& cx, const CombineBackward& p) {
  real(cx).combine_backward(cx, p);
  std::fill_n(p.d_weights, p.rows * p.top_k, 0.0f);
}

// A token that comes twice gets the gradient of its first place.
inline void embedding_backward_first_place(const Context& cx, const EmbeddingBackward& p) {
  std::vector<i32> order;
  for (i64 i = 0; i < p.rows; ++i) {
    if (i == 0 || p.ids[p.order[i]] != p.ids[p.order[i - 1]]) order.push_back(p.order[i]);
  }
  EmbeddingBackward q = p;
  q.order = order.data();
  q.rows = static_cast<i64>(order.size());
  real(cx).embedding_backward(cx, q);
}

// ---- optimizer

inline void adamw_without_bias_correction(const Context& cx, const AdamW& p) {
  AdamW q = p;
  q.bias1 = q.bias2 = 1;
  real(cx).adamw(cx, q);
}
inline void adamw_decays_vectors(const Context& cx, const AdamW& p) {
  AdamW q = p;
  q.decay = 0.1f;
  real(cx).adamw(cx, q);
}
inline void adamw_ignores_clip(const Context& cx, const AdamW& p) {
  AdamW q = p;
  q.grad_scale = 1;
  real(cx).adamw(cx, q);
}
// L2: decay goes into the gradient, and so through both moments.
inline void adamw_coupled_decay(const Context& cx, const AdamW& p) {
  std::vector<float> grad(p.grad, p.grad + p.n);
  for (std::size_t i = 0; i < grad.size(); ++i) grad[i] = grad[i] * p.grad_scale + p.decay * p.p[i];
  AdamW q = p;
  q.grad = grad.data();
  q.grad_scale = 1;
  q.decay = 0;
  real(cx).adamw(cx, q);
}
inline void adamw_eps_inside_root(const Context&, const AdamW& p) {
  auto *m = static_cast<float*>(p.m), *v = static_cast<float*>(p.v);  // verify's moments are f32
  for (i64 i = 0; i < p.n; ++i) {
    const float g = p.grad[i] * p.grad_scale;
    m[i] = p.beta1 * m[i] + (1 - p.beta1) * g;
    v[i] = p.beta2 * v[i] + (1 - p.beta2) * g * g;
    p.p[i] *= 1 - p.lr * p.decay;
    p.p[i] -= p.lr * (m[i] / p.bias1) / std::sqrt(v[i] / p.bias2 + p.eps);
  }
}

inline void sum_squares_of_nothing(const Context&, const SumSquares& p) { *p.result = 0; }

}  // namespace hadal::planted
