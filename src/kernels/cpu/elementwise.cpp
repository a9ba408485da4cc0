// SwiGLU, casts, sums, copies: memory-bound loops; ref/elementwise.h is the definition.
#include <cstring>

#include "kernels/cpu/lanes.h"
#include "kernels/declare.h"
#include "kernels/kernels.h"

namespace hadal::kernels::HADAL_ISA_NS {

HADAL_KERNELS(HADAL_DECLARE)

namespace {

// body(i, lanes) over n elements in one parallel region.
template <class F>
void for_elements(const Context& cx, i64 n, F&& body) {
  run_blocks(cx, n, 1, [&](i64 begin, i64 end, int) {
    for_lanes(end - begin, [&](i64 i, auto lanes) { body(begin + i, lanes); });
  });
}

}  // namespace

void swiglu(const Context& cx, const Swiglu& p) {
  with_type(p.act, [&](auto type) {
    using T = decltype(type);
    const T *g = static_cast<const T*>(p.g), *u = static_cast<const T*>(p.u);
    T* h = static_cast<T*>(p.h);
    for_elements(cx, p.n, [&](i64 i, auto lanes) {
      const F32x16 x = load(g + i, lanes);
      store(h + i, x * sigmoid(x) * load(u + i, lanes), lanes);
    });
  });
}

void swiglu_backward(const Context& cx, const SwigluBackward& p) {
  with_type(p.act, [&](auto type) {
    using T = decltype(type);
    const T *g = static_cast<const T*>(p.g), *u = static_cast<const T*>(p.u), *dh = static_cast<const T*>(p.dh);
    T *dg = static_cast<T*>(p.dg), *du = static_cast<T*>(p.du);
    for_elements(cx, p.n, [&](i64 i, auto lanes) {
      const F32x16 x = load(g + i, lanes), d = load(dh + i, lanes), s = sigmoid(x), one = set1(1.0f);
      const F32x16 dx = d * load(u + i, lanes) * (s * fma(x, one - s, one));
      store(du + i, d * (x * s), lanes);
      store(dg + i, dx, lanes);
    });
  });
}

void cast(const Context& cx, const Cast& p) {
  with_type(p.x_dtype, [&](auto x_type) {
    with_type(p.y_dtype, [&](auto y_type) {
      const auto* x = static_cast<const decltype(x_type)*>(p.x);
      auto* y = static_cast<decltype(y_type)*>(p.y);
      for_elements(cx, p.n, [&](i64 i, auto lanes) { store(y + i, load(x + i, lanes), lanes); });
    });
  });
}

void add(const Context& cx, const Add& p) {
  with_type(p.a_dtype, [&](auto a_type) {
    with_type(p.b_dtype, [&](auto b_type) {
      with_type(p.y_dtype, [&](auto y_type) {
        const auto* a = static_cast<const decltype(a_type)*>(p.a);
        const auto* b = static_cast<const decltype(b_type)*>(p.b);
        auto* y = static_cast<decltype(y_type)*>(p.y);
        for_elements(cx, p.n, [&](i64 i, auto lanes) { store(y + i, load(a + i, lanes) + load(b + i, lanes), lanes); });
      });
    });
  });
}

void copy_block(const Context& cx, const CopyBlock& p) {
  const auto* x = static_cast<const char*>(p.x);
  auto* y = static_cast<char*>(p.y);
  if (p.ldx == p.cols && p.ldy == p.cols) {
    // One run of bytes, so that the threads can share even a single long row.
    run_blocks(cx, p.rows * p.cols * p.element, 1, [&](i64 begin, i64 end, int) {
      std::memcpy(y + begin, x + begin, static_cast<std::size_t>(end - begin));
    });
    return;
  }
  if (p.cols == 0) return;
  run_blocks(cx, p.rows, p.cols, [&](i64 begin, i64 end, int) {
    for (i64 r = begin; r < end; ++r) {
      std::memcpy(y + r * p.ldy * p.element, x + r * p.ldx * p.element, static_cast<std::size_t>(p.cols * p.element));
    }
  });
}

}  // namespace hadal::kernels::HADAL_ISA_NS
