#include "ops/common.h"

#include "kernels/kernels.h"

namespace hadal::ops {

void require(bool ok, std::string_view op, std::string_view what, std::initializer_list<const Tensor*> operands) {
  if (ok) return;
  std::string shapes;
  for (const Tensor* t : operands)
    shapes += fmt::format(" {} {}", t->defined() ? name_of(t->dtype()) : "none", to_string(t->shape()));
  fail("[{}] wants {}, got{}", op, what, shapes);
}

Tensor cast(const kernels::Context& cx, const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  Tensor y = Tensor::empty(x.shape(), dtype);
  kernels::run(cx, kernels::Cast{.n = x.numel(), .x = x.raw(), .x_dtype = x.dtype(), .y = y.raw(), .y_dtype = dtype});
  return y;
}

}  // namespace hadal::ops
