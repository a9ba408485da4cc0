#include "ops/rms_norm.h"

#include "autograd/tape.h"
#include "kernels/kernels.h"
#include "ops/common.h"

namespace hadal::ops {

namespace {

void rms_norm_backward(const kernels::Context& cx, const Tensor& x, const Tensor& w, const Tensor& rstd,
                       const Tensor& dy) {
  const std::int64_t rows = x.size(0), d = x.size(1);
  // The residual stream's gradient is there already: add to it instead of making a second one.
  Tensor dx = autograd::exclusive_grad(x);
  const bool in_place = dx.defined() && dx.dtype() == x.dtype();
  if (!in_place) dx = Tensor::empty(x.shape(), x.dtype());
  kernels::run(cx, kernels::RmsNormBackward{.rows = rows,
                                            .d = d,
                                            .x = x.raw(),
                                            .ldx = d,
                                            .x_dtype = x.dtype(),
                                            .w = w.data<float>(),
                                            .rstd = rstd.data<float>(),
                                            .dy = dy.raw(),
                                            .dy_dtype = dy.dtype(),
                                            .dx = dx.raw(),
                                            .lddx = d,
                                            .dx_dtype = dx.dtype(),
                                            .dx_accumulate = in_place,
                                            .dw = w.node() ? autograd::leaf_grad(w) : nullptr});
  if (!in_place) autograd::accumulate(x, std::move(dx));
}

}  // namespace

Tensor rms_norm(const kernels::Context& cx, const Tensor& x, const Tensor& w, float eps, DType y_dtype) {
  require(x.rank() == 2 && w.rank() == 1 && x.size(1) == w.size(0) && w.dtype() == DType::f32, "rms_norm",
          "x (T, d) and w (d) f32", {&x, &w});
  const std::int64_t rows = x.size(0), d = x.size(1);
  autograd::Tape* tape = autograd::tape_of({&x, &w});
  Tensor y = Tensor::empty(x.shape(), y_dtype);
  Tensor rstd = tape != nullptr ? Tensor::empty({rows}, DType::f32) : Tensor();
  kernels::run(cx, kernels::RmsNorm{.rows = rows,
                                    .d = d,
                                    .x = x.raw(),
                                    .ldx = d,
                                    .x_dtype = x.dtype(),
                                    .w = w.data<float>(),
                                    .eps = eps,
                                    .y = y.raw(),
                                    .y_dtype = y_dtype,
                                    .rstd = tape != nullptr ? rstd.data<float>() : nullptr});
  if (tape != nullptr) {
    tape->record(y, [&cx, x, w, rstd](Tensor dy) { rms_norm_backward(cx, x, w, rstd, dy); });
  }
  return y;
}

}  // namespace hadal::ops
