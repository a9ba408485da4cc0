// Reference elementwise kernels.
#include <cstring>

#include "kernels/ref/scalar.h"

namespace hadal::kernels::ref {

void swiglu(const Context&, const Swiglu& p) {
  for (i64 i = 0; i < p.n; ++i) {
    const float g = get(p.g, i, p.act);
    put(p.h, i, p.act, g * sigmoid(g) * get(p.u, i, p.act));
  }
}

void swiglu_backward(const Context&, const SwigluBackward& p) {
  for (i64 i = 0; i < p.n; ++i) {
    const float g = get(p.g, i, p.act), u = get(p.u, i, p.act), dh = get(p.dh, i, p.act), s = sigmoid(g);
    put(p.dg, i, p.act, dh * u * (s * std::fma(g, 1.0f - s, 1.0f)));
    put(p.du, i, p.act, dh * (g * s));
  }
}

void cast(const Context&, const Cast& p) {
  for (i64 i = 0; i < p.n; ++i) put(p.y, i, p.y_dtype, get(p.x, i, p.x_dtype));
}

void add(const Context&, const Add& p) {
  for (i64 i = 0; i < p.n; ++i) put(p.y, i, p.y_dtype, get(p.a, i, p.a_dtype) + get(p.b, i, p.b_dtype));
}

void copy_block(const Context&, const CopyBlock& p) {
  for (i64 r = 0; r < p.rows; ++r) {
    std::memcpy(static_cast<char*>(p.y) + r * p.ldy * p.element, static_cast<const char*>(p.x) + r * p.ldx * p.element,
                static_cast<std::size_t>(p.cols * p.element));
  }
}

}  // namespace hadal::kernels::ref
