// Reference RMSNorm and rotary embedding.
#include <vector>

#include "kernels/ref/scalar.h"

namespace hadal::kernels::ref {

void rms_norm(const Context&, const RmsNorm& p) {
  for (i64 r = 0; r < p.rows; ++r) {
    Sum16 squares;
    for (i64 c = 0; c < p.d; ++c) {
      const float x = get(p.x, r * p.ldx + c, p.x_dtype);
      squares.add_product(c, x, x);
    }
    const float rstd = 1.0f / std::sqrt(squares.total() / static_cast<float>(p.d) + p.eps);
    for (i64 c = 0; c < p.d; ++c) put(p.y, r * p.d + c, p.y_dtype, get(p.x, r * p.ldx + c, p.x_dtype) * rstd * p.w[c]);
    if (p.rstd != nullptr) p.rstd[r] = rstd;
  }
}

// With n = x rstd, g = dy w: dx = rstd (g - n mean(g n)); dw = sum over rows of dy n.
void rms_norm_backward(const Context&, const RmsNormBackward& p) {
  for (i64 begin = 0; begin < p.rows; begin += 64) {
    const i64 end = begin + 64 < p.rows ? begin + 64 : p.rows;
    std::vector<float> dw(static_cast<std::size_t>(p.d), 0.0f);
    for (i64 r = begin; r < end; ++r) {
      const float rstd = p.rstd[r];
      Sum16 inner;
      for (i64 c = 0; c < p.d; ++c) {
        const float n = get(p.x, r * p.ldx + c, p.x_dtype) * rstd, dy = get(p.dy, r * p.d + c, p.dy_dtype);
        inner.add_product(c, dy * p.w[c], n);
        dw[static_cast<std::size_t>(c)] = std::fma(dy, n, dw[static_cast<std::size_t>(c)]);
      }
      const float mean = inner.total() / static_cast<float>(p.d);
      for (i64 c = 0; c < p.d; ++c) {
        const float n = get(p.x, r * p.ldx + c, p.x_dtype) * rstd, g = get(p.dy, r * p.d + c, p.dy_dtype) * p.w[c];
        const float dx = rstd * std::fma(-n, mean, g);
        const i64 at = r * p.lddx + c;
        put(p.dx, at, p.dx_dtype, p.dx_accumulate ? get(p.dx, at, p.dx_dtype) + dx : dx);
      }
    }
    for (i64 c = 0; c < p.d && p.dw != nullptr; ++c) p.dw[c] += dw[static_cast<std::size_t>(c)];
  }
}

void rope(const Context&, const Rope& p) {
  const i64 half = p.rot / 2;
  for (i64 r = 0; r < p.rows; ++r) {
    const float* cosine = p.cos + p.positions[r] * half;
    const float* sine = p.sin + p.positions[r] * half;
    for (i64 h = 0; h < p.heads; ++h) {
      for (i64 i = 0; i < half; ++i) {
        const i64 first = p.interleaved ? 2 * i : i, second = p.interleaved ? 2 * i + 1 : i + half;
        const i64 x = r * p.x_row + h * p.x_head, y = r * p.y_row + h * p.y_head;
        const float a = get(p.x, x + first, p.act), b = get(p.x, x + second, p.act);
        const float c = cosine[i], s = p.inverse ? -sine[i] : sine[i];
        put(p.y, y + first, p.act, std::fma(a, c, -(b * s)));
        put(p.y, y + second, p.act, std::fma(a, s, b * c));
      }
    }
  }
}

}  // namespace hadal::kernels::ref
