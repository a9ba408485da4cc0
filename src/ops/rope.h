// Rotary embedding of the last `rot` elements of each head (SPEC §1.5), in place: y shares x's memory.
// x (T, heads * width): head h is columns [h*width, (h+1)*width). positions (T) i32; cos, sin (max positions, rot/2)
// f32. Pairs are (2i, 2i+1) if interleaved, else (i, i + rot/2). Errors: a position outside the table.
#pragma once

#include "kernels/context.h"
#include "tensor/tensor.h"

namespace hadal::ops {

struct RopeTable {
  Tensor cos, sin;  // (positions, rot/2) f32
  bool interleaved = true;
};

Tensor rope(const kernels::Context& cx, Tensor x, std::int64_t heads, const RopeTable& table, const Tensor& positions);

}  // namespace hadal::ops
