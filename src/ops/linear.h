// y = x Wᵀ (+ b), the dot product of docs/numerics.md.
// x (T, K) f32 or bf16; w (N, K) as stored in checkpoints; b (N) f32 or undefined; y (T, N).
// A f32 w with a bf16 x (the router) is computed in f32 on the converted x.
// Backward: dx = dy W in x's dtype, dW += dyᵀ x in f32 over chunks of 512 rows, db += column sums of dy.
#pragma once

#include "kernels/context.h"
#include "tensor/tensor.h"

namespace hadal::ops {

Tensor linear(const kernels::Context& cx, const Tensor& x, const Tensor& w, DType y_dtype, const Tensor& bias = {});

// x (rows of all groups, K), sorted by group; w (E, N, K); offsets (E + 1) i32. y (rows, N) in x's dtype.
Tensor grouped_linear(const kernels::Context& cx, const Tensor& x, const Tensor& w, const Tensor& offsets);

}  // namespace hadal::ops
