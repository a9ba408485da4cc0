#include "ops/linear.h"

#include "autograd/tape.h"
#include "kernels/kernels.h"
#include "ops/common.h"

namespace hadal::ops {

namespace {

using kernels::Context;

void linear_backward(const Context& cx, const Tensor& x, const Tensor& w, const Tensor& bias, Tensor dy) {
  const std::int64_t rows = x.size(0), n = w.size(0), k = w.size(1);
  dy = cast(cx, dy, w.dtype());
  if (x.node()) {
    const bool mixed = x.dtype() != w.dtype();
    Tensor dx = Tensor::empty(x.shape(), mixed ? w.dtype() : x.dtype());
    kernels::run(cx, kernels::Matmul{.m = rows,
                                     .n = k,
                                     .k = n,
                                     .a = dy.raw(),
                                     .lda = n,
                                     .b = w.raw(),
                                     .ldb = k,
                                     .b_transposed = false,
                                     .c = dx.raw(),
                                     .ldc = k,
                                     .ab = w.dtype(),
                                     .c_dtype = dx.dtype()});
    autograd::accumulate(x, cast(cx, dx, x.dtype()));
  }
  if (w.node()) {
    const Tensor xw = cast(cx, x.detach(), w.dtype());
    const autograd::LeafSum dw = autograd::leaf_sum(w);
    kernels::run(cx, kernels::Matmul{.m = n,
                                     .n = k,
                                     .k = rows,
                                     .a = dy.raw(),
                                     .lda = n,
                                     .a_transposed = true,
                                     .b = xw.raw(),
                                     .ldb = k,
                                     .b_transposed = false,
                                     .c = dw.data,
                                     .ldc = k,
                                     .ab = w.dtype(),
                                     .accumulate = dw.accumulate,
                                     .chunk = kernels::kWeightGradChunk});
  }
  if (bias.defined() && bias.node()) add_bias_gradient(dy, bias);
}

}  // namespace

Tensor linear(const Context& cx, const Tensor& x, const Tensor& w, DType y_dtype, const Tensor& bias) {
  require(x.rank() == 2 && w.rank() == 2 && x.size(1) == w.size(1), "linear", "x (T, K) and w (N, K)", {&x, &w});
  const Tensor xw = cast(cx, x.detach(), w.dtype());
  const std::int64_t rows = x.size(0), n = w.size(0), k = w.size(1);
  Tensor y = Tensor::empty({rows, n}, y_dtype);
  kernels::run(cx, kernels::Matmul{.m = rows,
                                   .n = n,
                                   .k = k,
                                   .a = xw.raw(),
                                   .lda = k,
                                   .b = w.raw(),
                                   .ldb = k,
                                   .b_packed = w.packed(),
                                   .c = y.raw(),
                                   .ldc = n,
                                   .ab = w.dtype(),
                                   .c_dtype = y_dtype,
                                   .bias = bias.defined() ? bias.data<float>() : nullptr});
  if (autograd::Tape* tape = autograd::tape_of({&x, &w, &bias})) {
    tape->record(y, [&cx, x, w, bias](Tensor dy) { linear_backward(cx, x, w, bias, std::move(dy)); });
  }
  return y;
}

Tensor grouped_linear(const Context& cx, const Tensor& x, const Tensor& w, const Tensor& offsets) {
  require(x.rank() == 2 && w.rank() == 3 && x.size(1) == w.size(2) && offsets.numel() == w.size(0) + 1 &&
              x.dtype() == w.dtype(),
          "grouped_linear", "x (S, K), w (E, N, K) of one dtype, offsets (E + 1)", {&x, &w, &offsets});
  const std::int64_t groups = w.size(0), n = w.size(1), k = w.size(2);
  Tensor y = Tensor::empty({x.size(0), n}, x.dtype());
  kernels::run(cx, kernels::GroupedMatmul{.groups = groups,
                                          .n = n,
                                          .k = k,
                                          .offsets = offsets.data<std::int32_t>(),
                                          .a = x.raw(),
                                          .lda = k,
                                          .b = w.raw(),
                                          .b_packed = w.packed(),
                                          .c = y.raw(),
                                          .ldc = n,
                                          .ab = x.dtype(),
                                          .c_dtype = y.dtype()});
  if (autograd::Tape* tape = autograd::tape_of({&x, &w})) {
    tape->record(y, [&cx, x, w, offsets, groups, n, k](Tensor dy) {
      if (x.node()) {
        Tensor dx = Tensor::empty(x.shape(), x.dtype());
        kernels::run(cx, kernels::GroupedMatmul{.groups = groups,
                                                .n = k,
                                                .k = n,
                                                .offsets = offsets.data<std::int32_t>(),
                                                .a = dy.raw(),
                                                .lda = n,
                                                .b = w.raw(),
                                                .b_transposed = false,
                                                .c = dx.raw(),
                                                .ldc = k,
                                                .ab = x.dtype(),
                                                .c_dtype = dx.dtype()});
        autograd::accumulate(x, std::move(dx));
      }
      if (w.node()) {
        const autograd::LeafSum dw = autograd::leaf_sum(w);
        kernels::run(cx, kernels::GroupedWeightGrad{.groups = groups,
                                                    .n = n,
                                                    .k = k,
                                                    .offsets = offsets.data<std::int32_t>(),
                                                    .dy = dy.raw(),
                                                    .x = x.raw(),
                                                    .dw = dw.data,
                                                    .ab = x.dtype(),
                                                    .accumulate = dw.accumulate});
      }
    });
  }
  return y;
}

}  // namespace hadal::ops
