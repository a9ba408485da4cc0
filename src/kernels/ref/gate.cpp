#include "kernels/ref/gate.h"

namespace hadal::kernels::ref {

void gate(const Context&, const Gate& p) {
  for (i64 t = 0; t < p.rows; ++t) {
    gate_row(p, p.logits + t * p.experts, p.bias, p.forced != nullptr ? p.forced + t * p.top_k : nullptr,
             p.scores + t * p.experts, p.ids + t * p.top_k, p.weights + t * p.top_k);
  }
}

void gate_backward(const Context&, const GateBackward& p) {
  for (i64 t = 0; t < p.rows; ++t) {
    const float* f = p.balance_f != nullptr ? p.balance_f + p.balance_sequence[t] * p.experts : nullptr;
    gate_backward_row(p, p.scores + t * p.experts, p.ids + t * p.top_k, p.d_weights + t * p.top_k, f,
                      p.d_logits + t * p.experts);
  }
}

}  // namespace hadal::kernels::ref
