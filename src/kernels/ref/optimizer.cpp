#include "kernels/ref/optimizer.h"

#include <algorithm>
#include <cmath>

namespace hadal::kernels::ref {

namespace {

template <class M>
void adamw_moments(const AdamW& p, M* m, M* v) {
  for (i64 i = 0; i < p.n; ++i) {
    auto mi = static_cast<float>(m[i]), vi = static_cast<float>(v[i]);
    adamw_element(p, p.grad[i], p.p[i], mi, vi);
    m[i] = M(mi);
    v[i] = M(vi);
    if (p.compute != nullptr) p.compute[i] = bf16(p.p[i]);
  }
}

}  // namespace

void adamw(const Context&, const AdamW& p) {
  if (p.moments == DType::bf16) {
    adamw_moments(p, static_cast<bf16*>(p.m), static_cast<bf16*>(p.v));
  } else {
    adamw_moments(p, static_cast<float*>(p.m), static_cast<float*>(p.v));
  }
}

void sum_squares(const Context&, const SumSquares& p) {
  double total = 0;
  for (i64 begin = 0; begin < p.n; begin += 4096) {
    PartialSums<float> block;
    for (i64 i = begin; i < std::min(begin + 4096, p.n); ++i) block.add_product(i - begin, p.x[i], p.x[i]);
    total += block.total();
  }
  *p.result = total;
}

void ema(const Context&, const Ema& p) {
  for (i64 i = 0; i < p.n; ++i) p.average[i] = std::fma(p.decay, p.average[i], (1.0f - p.decay) * p.x[i]);
}

}  // namespace hadal::kernels::ref
