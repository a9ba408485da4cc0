#include "ops/common.h"

#include "autograd/tape.h"
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

void add_bias_gradient(const Tensor& dy, const Tensor& bias) {
  const std::int64_t rows = dy.size(0), n = dy.size(1);
  float* db = autograd::leaf_grad(bias);
  const auto add_row = [&](const auto* y) {
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t i = 0; i < n; ++i) db[i] += static_cast<float>(y[r * n + i]);
    }
  };
  dy.dtype() == DType::bf16 ? add_row(dy.data<bf16>()) : add_row(dy.data<float>());
}

}  // namespace hadal::ops
