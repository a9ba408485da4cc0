// AdamW in one pass, the sum of squares, the moving average; ref/optimizer.h is the definition.
#include <cmath>

#include "kernels/cpu/lanes.h"
#include "kernels/declare.h"
#include "kernels/kernels.h"

namespace hadal::kernels::HADAL_ISA_NS {

HADAL_KERNELS(HADAL_DECLARE)

namespace {

constexpr i64 kSquaresBlock = 4096;

template <class M>
void adamw_moments(const Context& cx, const AdamW& p, M* moment1, M* moment2) {
  const F32x16 beta1 = set1(p.beta1), beta2 = set1(p.beta2), one = set1(1.0f);
  const F32x16 rest1 = one - beta1, rest2 = one - beta2, minus_lr = set1(-p.lr);
  const F32x16 keep = one - set1(p.lr) * set1(p.decay);
  const F32x16 scale = set1(p.grad_scale), bias1 = set1(p.bias1), bias2 = set1(p.bias2), eps = set1(p.eps);
  run_blocks(cx, p.n, 1, [&](i64 begin, i64 end, int) {
    for_lanes(end - begin, [&](i64 offset, auto lanes) {
      const i64 i = begin + offset;
      const F32x16 g = load(p.grad + i, lanes) * scale;
      const F32x16 m = fma(beta1, load(moment1 + i, lanes), rest1 * g);
      const F32x16 v = fma(beta2, load(moment2 + i, lanes), rest2 * g * g);
      const F32x16 step = (m / bias1) / (sqrt(v / bias2) + eps);
      const F32x16 w = fma(minus_lr, step, load(p.p + i, lanes) * keep);
      store(moment1 + i, m, lanes);
      store(moment2 + i, v, lanes);
      store(p.p + i, w, lanes);
      if (p.compute != nullptr) store(p.compute + i, w, lanes);
    });
  });
}

}  // namespace

void adamw(const Context& cx, const AdamW& p) {
  with_type(p.moments, [&](auto type) {
    using M = decltype(type);
    adamw_moments(cx, p, static_cast<M*>(p.m), static_cast<M*>(p.v));
  });
}

void sum_squares(const Context& cx, const SumSquares& p) {
  const i64 blocks = (p.n + kSquaresBlock - 1) / kSquaresBlock;
  auto* partial = static_cast<float*>(cx.scratch().shared(0, static_cast<std::size_t>(blocks) * sizeof(float)));
  run_blocks(cx, blocks, kSquaresBlock, [&](i64 begin, i64 end, int) {
    for (i64 b = begin; b < end; ++b) {
      F32x16 squares = zero();
      const float* x = p.x + b * kSquaresBlock;
      for_lanes(std::min(kSquaresBlock, p.n - b * kSquaresBlock), [&](i64 i, auto lanes) {
        const F32x16 v = load(x + i, lanes);
        squares = fma(v, v, squares);
      });
      partial[b] = sum(squares);
    }
  });
  double total = 0;
  for (i64 b = 0; b < blocks; ++b) total += partial[b];
  *p.result = total;
}

void ema(const Context& cx, const Ema& p) {
  const F32x16 decay = set1(p.decay), rest = set1(1.0f) - decay;
  run_blocks(cx, p.n, 1, [&](i64 begin, i64 end, int) {
    for_lanes(end - begin, [&](i64 offset, auto lanes) {
      const i64 i = begin + offset;
      store(p.average + i, fma(decay, load(p.average + i, lanes), rest * load(p.x + i, lanes)), lanes);
    });
  });
}

}  // namespace hadal::kernels::HADAL_ISA_NS
