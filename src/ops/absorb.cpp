#include "ops/absorb.h"

#include <cstring>
#include <vector>

#include "kernels/kernels.h"
#include "ops/common.h"

namespace hadal::ops {

namespace {

std::byte* at(const Tensor& x, std::int64_t element) {
  return static_cast<std::byte*>(x.raw()) + static_cast<std::size_t>(element) * size_of(x.dtype());
}

void check(const Tensor& x, const Tensor& wkv_b, const AbsorbShape& s, std::int64_t width) {
  require(x.rank() == 2 && x.size(1) == width && wkv_b.shape() == Shape{s.heads * (s.nope + s.v), s.c} &&
              x.dtype() == wkv_b.dtype() && !x.node() && !wkv_b.node(),
          "absorb", "x (T, H * width), wkv_b (H * (nope + v), C), outside of training", {&x, &wkv_b});
}

}  // namespace

Tensor absorb_queries(const kernels::Context& cx, const Tensor& q, const Tensor& wkv_b, const AbsorbShape& s) {
  check(q, wkv_b, s, s.heads * (s.nope + s.rope));
  const std::int64_t rows = q.size(0), from = s.heads * (s.nope + s.rope), to = s.heads * (s.c + s.rope);
  Tensor y = Tensor::empty({rows, to}, q.dtype());
  std::vector<kernels::Matmul> list;
  for (std::int64_t h = 0; h < s.heads; ++h) {
    const std::int64_t q_head = h * (s.nope + s.rope), y_head = h * (s.c + s.rope);
    list.push_back({.m = rows,
                    .n = s.c,
                    .k = s.nope,
                    .a = at(q, q_head),
                    .lda = from,
                    .b = at(wkv_b, h * (s.nope + s.v) * s.c),
                    .ldb = s.c,
                    .b_transposed = false,
                    .c = at(y, y_head),
                    .ldc = to,
                    .ab = q.dtype(),
                    .c_dtype = q.dtype()});
    const std::size_t rope = static_cast<std::size_t>(s.rope) * size_of(q.dtype());
    for (std::int64_t r = 0; r < rows; ++r) {
      std::memcpy(at(y, r * to + y_head + s.c), at(q, r * from + q_head + s.nope), rope);
    }
  }
  kernels::run(cx, kernels::Matmuls{list.data(), s.heads});
  return y;
}

Tensor absorb_values(const kernels::Context& cx, const Tensor& o_lat, const Tensor& wkv_b, const AbsorbShape& s) {
  check(o_lat, wkv_b, s, s.heads * s.c);
  const std::int64_t rows = o_lat.size(0);
  Tensor y = Tensor::empty({rows, s.heads * s.v}, o_lat.dtype());
  std::vector<kernels::Matmul> list;
  for (std::int64_t h = 0; h < s.heads; ++h) {
    list.push_back({.m = rows,
                    .n = s.v,
                    .k = s.c,
                    .a = at(o_lat, h * s.c),
                    .lda = s.heads * s.c,
                    .b = at(wkv_b, (h * (s.nope + s.v) + s.nope) * s.c),
                    .ldb = s.c,
                    .c = at(y, h * s.v),
                    .ldc = s.heads * s.v,
                    .ab = o_lat.dtype(),
                    .c_dtype = o_lat.dtype()});
  }
  kernels::run(cx, kernels::Matmuls{list.data(), s.heads});
  return y;
}

}  // namespace hadal::ops
