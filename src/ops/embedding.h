// h[t] = table[ids[t]] as f32, the start of the residual stream. table (V, d) f32 or bf16; ids (T) i32.
// Backward: rows with the same id are added in rising order (sorted by (id, row), DESIGN §3). Errors: an id outside [0,
// V).
#pragma once

#include "kernels/context.h"
#include "tensor/tensor.h"

namespace hadal::ops {

Tensor embedding(const kernels::Context& cx, const Tensor& table, const Tensor& ids);

}  // namespace hadal::ops
