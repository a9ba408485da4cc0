// The definition of RMSNorm on one row, for float and, for gradient checks, double.
#pragma once

#include "kernels/ref/scalar.h"

namespace hadal::kernels::ref {

// y = x rstd w with rstd = 1 / sqrt(mean(x²) + eps). All rows (d); returns rstd.
template <class N>
N rms_norm_row(i64 d, const N* x, const N* w, N eps, N* y) {
  PartialSums<N> squares;
  for (i64 c = 0; c < d; ++c) squares.add_product(c, x[c], x[c]);
  const N rstd = N(1) / std::sqrt(squares.total() / static_cast<N>(d) + eps);
  for (i64 c = 0; c < d; ++c) y[c] = x[c] * rstd * w[c];
  return rstd;
}

// With n = x rstd and g = dy w: dx = rstd (g - n mean(g n)), dw += dy n.
template <class N>
void rms_norm_backward_row(i64 d, const N* x, const N* w, N rstd, const N* dy, N* dx, N* dw) {
  PartialSums<N> inner;
  for (i64 c = 0; c < d; ++c) {
    const N n = x[c] * rstd;
    inner.add_product(c, dy[c] * w[c], n);
    dw[c] = std::fma(dy[c], n, dw[c]);
  }
  const N mean = inner.total() / static_cast<N>(d);
  for (i64 c = 0; c < d; ++c) dx[c] = rstd * std::fma(-(x[c] * rstd), mean, dy[c] * w[c]);
}

}  // namespace hadal::kernels::ref
