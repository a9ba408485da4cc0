// RMSNorm (SPEC §1.1) forward and backward; ref/norm.h is the definition.
#include <cmath>
#include <cstring>

#include "kernels/cpu/lanes.h"
#include "kernels/declare.h"
#include "kernels/kernels.h"

namespace hadal::kernels::HADAL_ISA_NS {

HADAL_KERNELS(HADAL_DECLARE)

namespace {

constexpr i64 kChunkRows = 64;  // of the sum over rows in dw

template <class X, class Y>
float norm_row(i64 d, const X* x, const float* w, float eps, Y* y) {
  F32x16 squares = zero();
  for_lanes(d, [&](i64 c, auto lanes) {
    const F32x16 v = load(x + c, lanes);
    squares = fma(v, v, squares);
  });
  const float rstd = 1.0f / std::sqrt(sum(squares) / static_cast<float>(d) + eps);
  for_lanes(d, [&](i64 c, auto lanes) { store(y + c, load(x + c, lanes) * set1(rstd) * load(w + c, lanes), lanes); });
  return rstd;
}

// dw (d) += the row's share.
template <class X, class DY, class DX>
void norm_backward_row(const RmsNormBackward& p, i64 r, float* dw) {
  const X* x = static_cast<const X*>(p.x) + r * p.ldx;
  const DY* dy = static_cast<const DY*>(p.dy) + r * p.d;
  DX* dx = static_cast<DX*>(p.dx) + r * p.lddx;
  const F32x16 rstd = set1(p.rstd[r]);
  F32x16 inner = zero();
  for_lanes(p.d, [&](i64 c, auto lanes) {
    const F32x16 n = load(x + c, lanes) * rstd, g = load(dy + c, lanes);
    inner = fma(g * load(p.w + c, lanes), n, inner);
    store(dw + c, fma(g, n, load(dw + c, lanes)), lanes);
  });
  const F32x16 mean = set1(sum(inner) / static_cast<float>(p.d));
  for_lanes(p.d, [&](i64 c, auto lanes) {
    const F32x16 n = load(x + c, lanes) * rstd, g = load(dy + c, lanes) * load(p.w + c, lanes);
    const F32x16 v = rstd * fma(negative(n), mean, g);
    store(dx + c, p.dx_accumulate ? v + load(dx + c, lanes) : v, lanes);
  });
}

}  // namespace

void rms_norm(const Context& cx, const RmsNorm& p) {
  with_type(p.x_dtype, [&](auto x_type) {
    with_type(p.y_dtype, [&](auto y_type) {
      const auto* x = static_cast<const decltype(x_type)*>(p.x);
      auto* y = static_cast<decltype(y_type)*>(p.y);
      run_blocks(cx, p.rows, p.d, [&](i64 begin, i64 end, int) {
        for (i64 r = begin; r < end; ++r) {
          const float rstd = norm_row(p.d, x + r * p.ldx, p.w, p.eps, y + r * p.d);
          if (p.rstd != nullptr) p.rstd[r] = rstd;
        }
      });
    });
  });
}

void rms_norm_backward(const Context& cx, const RmsNormBackward& p) {
  const i64 chunks = (p.rows + kChunkRows - 1) / kChunkRows;
  const auto row_bytes = static_cast<std::size_t>(p.d) * sizeof(float);
  auto* partial = static_cast<float*>(cx.scratch().shared(0, static_cast<std::size_t>(chunks) * row_bytes));
  with_type(p.x_dtype, [&](auto x_type) {
    with_type(p.dy_dtype, [&](auto dy_type) {
      with_type(p.dx_dtype, [&](auto dx_type) {
        cx.pool().run(chunks, [&](i64 chunk, int) {
          float* dw = partial + chunk * p.d;
          std::memset(dw, 0, row_bytes);
          for (i64 r = chunk * kChunkRows; r < std::min(p.rows, (chunk + 1) * kChunkRows); ++r) {
            norm_backward_row<decltype(x_type), decltype(dy_type), decltype(dx_type)>(p, r, dw);
          }
        });
      });
    });
  });
  if (p.dw == nullptr) return;
  // A second region only for wide gradients of long batches; a single block of columns is added here.
  run_blocks(cx, p.d, chunks, [&](i64 begin, i64 end, int) {
    for (i64 chunk = 0; chunk < chunks; ++chunk) {
      for (i64 c = begin; c < end; ++c) p.dw[c] += partial[chunk * p.d + c];
    }
  });
}

}  // namespace hadal::kernels::HADAL_ISA_NS
