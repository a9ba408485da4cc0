// The definition of the combination of experts' outputs for one token, and its gradient.
#pragma once

#include <vector>

#include "kernels/ref/scalar.h"

namespace hadal::kernels::ref {

// out = sum over slots j, rising, of w_j y_j, + shared last. y: one row (d) a slot; w (slots) null: 1; shared (d) or
// null.
template <class N>
void gather_sum_row(i64 d, const std::vector<std::vector<N>>& y, const N* w, const N* shared, N* out) {
  for (i64 c = 0; c < d; ++c) {
    N sum = 0;
    for (std::size_t j = 0; j < y.size(); ++j)
      sum = std::fma(w != nullptr ? w[j] : N(1), y[j][static_cast<std::size_t>(c)], sum);
    out[c] = shared != nullptr ? sum + shared[c] : sum;
  }
}

// One slot: dy = w d_out; returns dw = dot(y, d_out).
template <class N>
N combine_backward_row(i64 d, const N* y, N w, const N* d_out, N* dy) {
  PartialSums<N> inner;
  for (i64 c = 0; c < d; ++c) {
    inner.add_product(c, y[c], d_out[c]);
    dy[c] = w * d_out[c];
  }
  return inner.total();
}

}  // namespace hadal::kernels::ref
