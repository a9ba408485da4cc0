// h + y for the residual stream: h (T, d) f32, y (T, d) f32 or bf16, result f32. dy is h's gradient rounded to y's
// dtype.
#pragma once

#include "kernels/context.h"
#include "tensor/tensor.h"

namespace hadal::ops {

Tensor add(const kernels::Context& cx, const Tensor& h, const Tensor& y);

}  // namespace hadal::ops
