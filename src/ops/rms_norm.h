// y = x * rsqrt(mean(x²) + eps) * w, statistics in f32 (SPEC §1.1).
// x (T, d) f32 or bf16; w (d) f32; y (T, d) in y_dtype.
#pragma once

#include "kernels/context.h"
#include "tensor/tensor.h"

namespace hadal::ops {

Tensor rms_norm(const kernels::Context& cx, const Tensor& x, const Tensor& w, float eps, DType y_dtype);

}  // namespace hadal::ops
