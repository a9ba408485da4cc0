#include "kernels/ref/norm.h"

#include <algorithm>

namespace hadal::kernels::ref {

void rms_norm(const Context&, const RmsNorm& p) {
  std::vector<float> y(static_cast<std::size_t>(p.d));
  for (i64 r = 0; r < p.rows; ++r) {
    const std::vector<float> x = read_row(p.x, r * p.ldx, p.d, p.x_dtype);
    const float rstd = rms_norm_row(p.d, x.data(), p.w, p.eps, y.data());
    write_row(p.y, r * p.d, y, p.y_dtype);
    if (p.rstd != nullptr) p.rstd[r] = rstd;
  }
}

void rms_norm_backward(const Context&, const RmsNormBackward& p) {
  std::vector<float> dx(static_cast<std::size_t>(p.d));
  for (i64 begin = 0; begin < p.rows; begin += 64) {
    std::vector<float> dw(static_cast<std::size_t>(p.d), 0.0f);
    for (i64 r = begin; r < std::min(begin + 64, p.rows); ++r) {
      const std::vector<float> x = read_row(p.x, r * p.ldx, p.d, p.x_dtype);
      const std::vector<float> dy = read_row(p.dy, r * p.d, p.d, p.dy_dtype);
      rms_norm_backward_row(p.d, x.data(), p.w, p.rstd[r], dy.data(), dx.data(), dw.data());
      for (i64 c = 0; c < p.d && p.dx_accumulate; ++c) {
        dx[static_cast<std::size_t>(c)] += get(p.dx, r * p.lddx + c, p.dx_dtype);
      }
      write_row(p.dx, r * p.lddx, dx, p.dx_dtype);
    }
    for (i64 c = 0; c < p.d && p.dw != nullptr; ++c) p.dw[c] += dw[static_cast<std::size_t>(c)];
  }
}

}  // namespace hadal::kernels::ref
