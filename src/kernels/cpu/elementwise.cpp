// Elementwise kernels over flat arrays.
#include <cstring>

#include "kernels/cpu/rows.h"

namespace hadal::kernels::HADAL_ISA_NS {

namespace {

constexpr i64 kBlock = 16384;

template <class F>
void over_elements(const Context& cx, i64 n, F&& f) {
  over_blocks(cx, n, kBlock, [&](i64 first, i64 last) { over_columns(last - first, [&](i64 c, int count) { f(first + c, count); }); });
}

}  // namespace

void swiglu(const Context& cx, const Swiglu& p) {
  with_type(p.act, [&]<class T>(T*) {
    const T *gs = static_cast<const T*>(p.g), *us = static_cast<const T*>(p.u);
    T* h = static_cast<T*>(p.h);
    over_elements(cx, p.n, [&](i64 i, int n) {
      const F32x16 g = get(gs + i, n);
      put(h + i, g * sigmoid(g) * get(us + i, n), n);
    });
  });
}

void swiglu_backward(const Context& cx, const SwigluBackward& p) {
  with_type(p.act, [&]<class T>(T*) {
    const T *gs = static_cast<const T*>(p.g), *us = static_cast<const T*>(p.u), *dhs = static_cast<const T*>(p.dh);
    T *dg = static_cast<T*>(p.dg), *du = static_cast<T*>(p.du);
    const F32x16 one = set1(1.0f);
    over_elements(cx, p.n, [&](i64 i, int n) {
      const F32x16 g = get(gs + i, n), u = get(us + i, n), dh = get(dhs + i, n), s = sigmoid(g);
      put(dg + i, dh * u * (s * fma(g, one - s, one)), n);
      put(du + i, dh * (g * s), n);
    });
  });
}

void cast(const Context& cx, const Cast& p) {
  with_type(p.x_dtype, [&]<class X>(X*) {
    with_type(p.y_dtype, [&]<class Y>(Y*) {
      const X* x = static_cast<const X*>(p.x);
      Y* y = static_cast<Y*>(p.y);
      over_elements(cx, p.n, [&](i64 i, int n) { put(y + i, get(x + i, n), n); });
    });
  });
}

void add(const Context& cx, const Add& p) {
  with_type(p.a_dtype, [&]<class A>(A*) {
    with_type(p.b_dtype, [&]<class B>(B*) {
      with_type(p.y_dtype, [&]<class Y>(Y*) {
        const A* a = static_cast<const A*>(p.a);
        const B* b = static_cast<const B*>(p.b);
        Y* y = static_cast<Y*>(p.y);
        over_elements(cx, p.n, [&](i64 i, int n) { put(y + i, get(a + i, n) + get(b + i, n), n); });
      });
    });
  });
}

void copy_block(const Context& cx, const CopyBlock& p) {
  over_rows(cx, p.rows, p.cols, [&](i64 r) {
    std::memcpy(static_cast<char*>(p.y) + r * p.ldy * p.element, static_cast<const char*>(p.x) + r * p.ldx * p.element,
                static_cast<std::size_t>(p.cols * p.element));
  });
}

}  // namespace hadal::kernels::HADAL_ISA_NS
