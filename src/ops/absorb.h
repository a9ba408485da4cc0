// The two extra products of absorbed MLA (SPEC §1.3). wkv_b (H * (nope + v), C): rows of head h are W_UK[h] (nope, C),
// then W_UV[h] (v, C). For serving only: a tensor with an autograd node is an error.
#pragma once

#include "kernels/context.h"
#include "tensor/tensor.h"

namespace hadal::ops {

struct AbsorbShape {
  std::int64_t heads = 0, nope = 0, rope = 0, v = 0, c = 0;
};

// q (T, H * [nope | rope]) -> (T, H * [C | rope]): W_UK[h]ᵀ q_nope beside the rotated part.
Tensor absorb_queries(const kernels::Context& cx, const Tensor& q, const Tensor& wkv_b, const AbsorbShape& shape);

// o_lat (T, H * C) -> (T, H * v): W_UV[h] o_lat[h].
Tensor absorb_values(const kernels::Context& cx, const Tensor& o_lat, const Tensor& wkv_b, const AbsorbShape& shape);

}  // namespace hadal::ops
