// Kernels without a fast version yet run the reference.
#include "kernels/declare.h"
#include "kernels/kernels.h"

// clang-format off
#define HADAL_SLOW_KERNELS(X) \
  X(rms_norm, RmsNorm) X(rms_norm_backward, RmsNormBackward) X(rope, Rope) \
  X(swiglu, Swiglu) X(swiglu_backward, SwigluBackward) X(cast, Cast) X(add, Add) X(copy_block, CopyBlock) \
  X(gate, Gate) X(gate_backward, GateBackward) X(gather_rows, GatherRows) X(gather_sum, GatherSum) \
  X(combine_backward, CombineBackward) X(embedding, Embedding) X(embedding_backward, EmbeddingBackward) \
  X(cross_entropy, CrossEntropy) X(adamw, AdamW) X(sum_squares, SumSquares)
// clang-format on

namespace hadal::kernels {

namespace ref {
HADAL_KERNELS(HADAL_DECLARE)
}

namespace HADAL_ISA_NS {

#define HADAL_FALLBACK(name, Params) \
  void name(const Context& cx, const Params& p) { ref::name(cx, p); }
HADAL_SLOW_KERNELS(HADAL_FALLBACK)

}  // namespace HADAL_ISA_NS
}  // namespace hadal::kernels
