#include "ops/add.h"

#include "autograd/tape.h"
#include "kernels/kernels.h"
#include "ops/common.h"

namespace hadal::ops {

Tensor add(const kernels::Context& cx, const Tensor& h, const Tensor& y) {
  require(h.shape() == y.shape() && h.dtype() == DType::f32, "add", "h f32 and y of one shape", {&h, &y});
  Tensor sum = Tensor::empty(h.shape(), DType::f32);
  kernels::run(cx, kernels::Add{.n = h.numel(), .a = h.raw(), .b = y.raw(), .b_dtype = y.dtype(), .y = sum.raw()});
  if (autograd::Tape* tape = autograd::tape_of({&h, &y})) {
    tape->record(sum, [&cx, h = h.shell(), y = y.shell()](Tensor grad) {
      if (y.node()) autograd::accumulate(y, cast(cx, grad, y.dtype()));
      autograd::accumulate(h, std::move(grad));
    });
  }
  return sum;
}

}  // namespace hadal::ops
