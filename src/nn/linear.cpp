#include "nn/linear.h"

#include "ops/linear.h"
#include "ops/swiglu.h"

namespace hadal::nn {

Tensor linear(const Input& in, const Tensor& x_TK, const Tensor& w_NK, const Tensor& bias_N, ops::Fp8Input input) {
  return in.fp8 ? ops::fp8_linear(in.cx, x_TK, w_NK, in.act, bias_N, input)
                : ops::linear(in.cx, x_TK, w_NK, in.act, bias_N);
}

Tensor grouped_linear(const Input& in, const Tensor& x_SK, const Tensor& w_ENK, const Tensor& offsets_E1) {
  return in.fp8 ? ops::fp8_grouped_linear(in.cx, x_SK, w_ENK, offsets_E1)
                : ops::grouped_linear(in.cx, x_SK, w_ENK, offsets_E1);
}

Tensor swiglu_linear(const Input& in, const Tensor& g, const Tensor& u, const Tensor& w, const Tensor& offsets_E1) {
  ops::Products alone(in.cx);
  Tensor y = swiglu_linear(in, alone, g, u, w, offsets_E1);
  alone.run();
  return y;
}

Tensor linear(const Input& in, ops::Products& with, const Tensor& x_TK, const Tensor& w_NK, const Tensor& bias_N) {
  return in.fp8 ? linear(in, x_TK, w_NK, bias_N) : with.linear(x_TK, w_NK, in.act, bias_N);
}

Tensor grouped_linear(const Input& in, ops::Products& with, const Tensor& x_SK, const Tensor& w_ENK,
                      const Tensor& offsets_E1) {
  return in.fp8 ? grouped_linear(in, x_SK, w_ENK, offsets_E1) : with.grouped(x_SK, w_ENK, offsets_E1);
}

Tensor swiglu_linear(const Input& in, ops::Products& with, const Tensor& g, const Tensor& u, const Tensor& w,
                     const Tensor& offsets_E1) {
  if (in.fp8) return ops::fp8_swiglu_linear(in.cx, g, u, w, offsets_E1);
  const Tensor h = ops::swiglu(in.cx, g, u);
  Tensor y = offsets_E1.defined() ? with.grouped(h, w, offsets_E1) : with.linear(h, w, in.act);
  forget(in, h, [in, g, u] { return ops::swiglu(in.cx, g, u); });
  return y;
}

}  // namespace hadal::nn
