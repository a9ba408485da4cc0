// RMSNorm, forward and backward.
#include <cmath>

#include "kernels/cpu/rows.h"

namespace hadal::kernels::HADAL_ISA_NS {

void rms_norm(const Context& cx, const RmsNorm& p) {
  with_type(p.x_dtype, [&]<class X>(X*) {
    with_type(p.y_dtype, [&]<class Y>(Y*) {
      over_rows(cx, p.rows, p.d, [&](i64 r) {
        const X* x = static_cast<const X*>(p.x) + r * p.ldx;
        Y* y = static_cast<Y*>(p.y) + r * p.d;
        F32x16 squares = zero();
        over_columns(p.d, [&](i64 c, int n) {
          const F32x16 v = get(x + c, n);
          squares = fma(v, v, squares);
        });
        const float rstd = 1.0f / std::sqrt(sum(squares) / static_cast<float>(p.d) + p.eps);
        const F32x16 scale = set1(rstd);
        over_columns(p.d, [&](i64 c, int n) { put(y + c, get(x + c, n) * scale * get(p.w + c, n), n); });
        if (p.rstd != nullptr) p.rstd[r] = rstd;
      });
    });
  });
}

namespace {

constexpr i64 kGainRows = 64;

template <class X, class G, class D>
void norm_backward_row(const RmsNormBackward& p, i64 r, float* dw) {
  const X* x = static_cast<const X*>(p.x) + r * p.ldx;
  const G* dy = static_cast<const G*>(p.dy) + r * p.d;
  D* dx = static_cast<D*>(p.dx) + r * p.lddx;
  const F32x16 rstd = set1(p.rstd[r]);
  F32x16 inner = zero();
  over_columns(p.d, [&](i64 c, int n) {
    const F32x16 normed = get(x + c, n) * rstd, g = get(dy + c, n);
    inner = fma(g * get(p.w + c, n), normed, inner);
    put(dw + c, fma(g, normed, get(dw + c, n)), n);
  });
  const F32x16 mean = set1(sum(inner) / static_cast<float>(p.d));
  over_columns(p.d, [&](i64 c, int n) {
    const F32x16 normed = get(x + c, n) * rstd, g = get(dy + c, n) * get(p.w + c, n);
    const F32x16 d = rstd * fma(zero() - normed, mean, g);
    put(dx + c, p.dx_accumulate ? get(dx + c, n) + d : d, n);
  });
}

}  // namespace

void rms_norm_backward(const Context& cx, const RmsNormBackward& p) {
  const i64 chunks = (p.rows + kGainRows - 1) / kGainRows;
  // Gain gradients of every chunk of rows, added in rising order afterwards.
  auto* partial = static_cast<float*>(cx.scratch().shared(2, static_cast<std::size_t>(chunks * p.d) * sizeof(float)));
  with_type(p.x_dtype, [&]<class X>(X*) {
    with_type(p.dy_dtype, [&]<class G>(G*) {
      with_type(p.dx_dtype, [&]<class D>(D*) {
        cx.pool().run(chunks, [&](i64 chunk, int) {
          float* dw = partial + chunk * p.d;
          std::fill_n(dw, p.d, 0.0f);
          for (i64 r = chunk * kGainRows; r < std::min(p.rows, (chunk + 1) * kGainRows); ++r) norm_backward_row<X, G, D>(p, r, dw);
        });
      });
    });
  });
  if (p.dw == nullptr) return;
  over_blocks(cx, p.d, 256, [&](i64 first, i64 last) {
    for (i64 chunk = 0; chunk < chunks; ++chunk) {
      over_columns(last - first, [&](i64 c, int n) { put(p.dw + first + c, get(p.dw + first + c, n) + get(partial + chunk * p.d + first + c, n), n); });
    }
  });
}

}  // namespace hadal::kernels::HADAL_ISA_NS
