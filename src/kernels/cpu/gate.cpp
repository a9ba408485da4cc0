// The gate: a few hundred scores a token, so rows are tasks and the scores of a row are vectors. The choice and the gradient
// are the reference's own code: they are no hot path, and one definition of routing is the rule (DESIGN §1).
#include "kernels/cpu/rows.h"

namespace hadal::kernels {

namespace ref {
void gate(const Context&, const Gate&);
void gate_backward(const Context&, const GateBackward&);
}  // namespace ref

namespace HADAL_ISA_NS {

namespace {
constexpr i64 kRows = 64;
}

void gate(const Context& cx, const Gate& p) {
  over_blocks(cx, p.rows, kRows, [&](i64 first, i64 last) {
    Gate part = p;
    part.rows = last - first;
    part.logits += first * p.experts;
    part.scores += first * p.experts;
    part.ids += first * p.top_k;
    part.weights += first * p.top_k;
    if (part.forced != nullptr) part.forced += first * p.top_k;
    ref::gate(cx, part);
  });
}

void gate_backward(const Context& cx, const GateBackward& p) {
  over_blocks(cx, p.rows, kRows, [&](i64 first, i64 last) {
    GateBackward part = p;
    part.rows = last - first;
    part.scores += first * p.experts;
    part.ids += first * p.top_k;
    part.d_weights += first * p.top_k;
    part.d_logits += first * p.experts;
    if (part.balance_sequence != nullptr) part.balance_sequence += first;
    ref::gate_backward(cx, part);
  });
}

}  // namespace HADAL_ISA_NS
}  // namespace hadal::kernels
