// What several ops share: shape checks and conversions.
#pragma once

#include <initializer_list>
#include <string_view>

#include "kernels/context.h"
#include "tensor/tensor.h"

namespace hadal::ops {

// Throws Error "[op] wants WHAT, got shapes ..." unless ok.
void require(bool ok, std::string_view op, std::string_view what, std::initializer_list<const Tensor*> operands);

// x in another dtype; x itself (with its node) if it has it already. Records nothing.
Tensor cast(const kernels::Context& cx, const Tensor& x, DType dtype);

// Adds the column sums of dy (T, N), f32 or bf16, to the gradient of a watched bias (N).
void add_bias_gradient(const Tensor& dy, const Tensor& bias);

}  // namespace hadal::ops
