// Splitting and joining along the columns, and picking rows. Values are copied; gradients go back the same way.
#pragma once

#include <span>
#include <vector>

#include "kernels/context.h"
#include "tensor/tensor.h"

namespace hadal::ops {

// x (T, a + b) -> (T, a), (T, b). Both results must be used if x needs a gradient... a part unused counts as zero.
std::pair<Tensor, Tensor> split_columns(const kernels::Context& cx, const Tensor& x, std::int64_t first);

// a (T, n), b (T, m) of one dtype -> (T, n + m).
Tensor concat_columns(const kernels::Context& cx, const Tensor& a, const Tensor& b);

// y[r] = x[rows[r]]; every row at most once.
Tensor select_rows(const kernels::Context& cx, const Tensor& x, std::span<const std::int32_t> rows);

}  // namespace hadal::ops
