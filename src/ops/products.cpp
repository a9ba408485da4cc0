#include "ops/products.h"

#include "autograd/tape.h"
#include "ops/common.h"
#include "ops/linear.h"

namespace hadal::ops {

Tensor Products::linear(const Tensor& x, const Tensor& w, DType y_dtype, const Tensor& bias) {
  if (x.rank() != 2 || x.size(0) > kernels::kFewRows || autograd::tape_of({&x, &w, &bias}) != nullptr) {
    return ops::linear(cx_, x, w, y_dtype, bias);
  }
  require(w.rank() == 2 && x.size(1) == w.size(1), "linear", "x (T, K) and w (N, K)", {&x, &w});
  const Tensor xw = cast(cx_, x.detach(), w.dtype());
  Tensor y = Tensor::empty({x.size(0), w.size(0)}, y_dtype);
  list_.push_back({.m = x.size(0),
                   .n = w.size(0),
                   .k = w.size(1),
                   .a = xw.raw(),
                   .lda = w.size(1),
                   .b = w.raw(),
                   .ldb = w.size(1),
                   .b_packed = w.packed(),
                   .c = y.raw(),
                   .ldc = w.size(0),
                   .ab = w.dtype(),
                   .c_dtype = y_dtype,
                   .bias = bias.defined() ? bias.data<float>() : nullptr});
  operands_.insert(operands_.end(), {xw, w, bias, y});
  return y;
}

Tensor Products::grouped(const Tensor& x, const Tensor& w, const Tensor& offsets) {
  const auto begin = offsets.span<std::int32_t>();
  bool few = x.rank() == 2 && autograd::tape_of({&x, &w}) == nullptr;
  for (std::size_t e = 0; e + 1 < begin.size(); ++e) few = few && begin[e + 1] - begin[e] <= kernels::kFewRows;
  if (!few) return grouped_linear(cx_, x, w, offsets);
  require(w.rank() == 3 && x.size(1) == w.size(2) && offsets.numel() == w.size(0) + 1 && x.dtype() == w.dtype(),
          "grouped_linear", "x (S, K), w (E, N, K) of one dtype, offsets (E + 1)", {&x, &w, &offsets});
  const std::int64_t n = w.size(1), k = w.size(2), size = static_cast<std::int64_t>(size_of(w.dtype()));
  const std::int64_t expert = size * (w.packed() ? kernels::packed_elements(n, k, w.dtype()) : n * k);
  Tensor y = Tensor::empty({x.size(0), n}, x.dtype());
  for (std::size_t e = 0; e + 1 < begin.size(); ++e) {
    const std::int64_t first = begin[e], rows = begin[e + 1] - first;
    if (rows == 0) continue;
    list_.push_back({.m = rows,
                     .n = n,
                     .k = k,
                     .a = static_cast<const std::byte*>(x.raw()) + first * k * size,
                     .lda = k,
                     .b = static_cast<const std::byte*>(w.raw()) + static_cast<std::int64_t>(e) * expert,
                     .ldb = k,
                     .b_packed = w.packed(),
                     .c = static_cast<std::byte*>(y.raw()) + first * n * size,
                     .ldc = n,
                     .ab = w.dtype(),
                     .c_dtype = y.dtype()});
  }
  operands_.insert(operands_.end(), {x, w, y});
  return y;
}

void Products::run() {
  if (!list_.empty()) {
    kernels::run(cx_, kernels::Matmuls{list_.data(), static_cast<std::int64_t>(list_.size())});
  }
  list_.clear();
  operands_.clear();
}

}  // namespace hadal::ops
