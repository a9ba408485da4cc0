// Language-model head and cross-entropy, fused and in chunks of rows, so that the logits of a whole batch never exist.
// hidden (T, d), w (V, d) of one dtype; targets (T) i32, -1 for none; coefficient (T) f32.
// loss = sum_t coefficient[t] * nll[t]. Gradients are computed in the forward (the logits are at hand there), scaled in
// the backward by the incoming gradient.
#pragma once

#include <span>

#include "kernels/context.h"
#include "tensor/tensor.h"

namespace hadal::ops {

struct LmLoss {
  Tensor loss;   // () f32; differentiable
  Tensor nll_T;  // f32; 0 where there is no target
};

LmLoss lm_loss(const kernels::Context& cx, const Tensor& hidden, const Tensor& w, const Tensor& targets,
               const Tensor& coefficient);

// The one log-prob function of sampler, trainer and eval: log softmax(hidden wᵀ)[target], by the same kernels and
// order.
Tensor log_probs(const kernels::Context& cx, const Tensor& hidden, const Tensor& w, const Tensor& targets);

// The same for one row of logits that is there already.
float log_prob_of_row(const kernels::Context& cx, std::span<const float> logits, std::int32_t target);

}  // namespace hadal::ops
