// Moving tokens to experts and back, without dropping any: rows sorted by (expert, token, slot), results gathered by
// index.
#pragma once

#include "kernels/context.h"
#include "tensor/tensor.h"

namespace hadal::ops {

struct Route {
  Tensor offsets_E1;  // (E + 1) i32: rows of expert e are [offsets[e], offsets[e+1])
  Tensor token_of_S;  // (S) i32: token of each sorted row
  Tensor row_of_TK;   // (T, k) i32: sorted row of the token's j-th slot
};

// ids (T, k) i32, ascending in each row.
Route route(const Tensor& ids, std::int64_t experts);

// x (T, d) -> (S, d), sorted by expert. Backward: sum over a token's slots, rising, in f32.
Tensor dispatch(const kernels::Context& cx, const Tensor& x, const Route& route);

// out[t] = sum over slots j (ascending expert number) of weights[t, j] * y[row_of[t, j]], then + shared[t], in f32, one
// rounding. y (S, d); weights (T, k) f32; shared (T, d) or undefined.
Tensor combine(const kernels::Context& cx, const Tensor& y, const Tensor& weights, const Tensor& shared,
               const Route& route);

}  // namespace hadal::ops
