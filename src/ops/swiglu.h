// h = silu(g) * u, in f32, rounded once (SPEC §1.1). g, u (anything), same shape and dtype.
#pragma once

#include "kernels/context.h"
#include "tensor/tensor.h"

namespace hadal::ops {

Tensor swiglu(const kernels::Context& cx, const Tensor& g, const Tensor& u);

}  // namespace hadal::ops
