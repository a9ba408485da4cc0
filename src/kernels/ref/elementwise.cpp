#include "kernels/ref/elementwise.h"

#include <cstring>

namespace hadal::kernels::ref {

void swiglu(const Context&, const Swiglu& p) {
  for (i64 i = 0; i < p.n; ++i) put(p.h, i, p.act, swiglu_element(get(p.g, i, p.act), get(p.u, i, p.act)));
}

void swiglu_backward(const Context&, const SwigluBackward& p) {
  for (i64 i = 0; i < p.n; ++i) {
    const auto d = swiglu_backward_element(get(p.g, i, p.act), get(p.u, i, p.act), get(p.dh, i, p.act));
    put(p.dg, i, p.act, d.dg);
    put(p.du, i, p.act, d.du);
  }
}

void cast(const Context&, const Cast& p) {
  for (i64 i = 0; i < p.n; ++i) put(p.y, i, p.y_dtype, get(p.x, i, p.x_dtype));
}

void add(const Context&, const Add& p) {
  for (i64 i = 0; i < p.n; ++i) put(p.y, i, p.y_dtype, get(p.a, i, p.a_dtype) + get(p.b, i, p.b_dtype));
}

void copy_block(const Context&, const CopyBlock& p) {
  if (p.cols == 0) return;
  for (i64 r = 0; r < p.rows; ++r) {
    std::memcpy(static_cast<char*>(p.y) + r * p.ldy * p.element, static_cast<const char*>(p.x) + r * p.ldx * p.element,
                static_cast<std::size_t>(p.cols * p.element));
  }
}

}  // namespace hadal::kernels::ref
