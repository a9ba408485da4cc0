// Reference cross-entropy, optimizer step and gradient norm.
#include <algorithm>

#include "kernels/ref/scalar.h"

namespace hadal::kernels::ref {

void cross_entropy(const Context&, const CrossEntropy& p) {
  for (i64 r = 0; r < p.rows; ++r) {
    const float* z = p.logits + r * p.vocab;
    const i32 target = p.targets[r];
    float most = z[0];
    for (i64 v = 1; v < p.vocab; ++v) most = std::max(most, z[v]);
    Sum16 sum;
    for (i64 v = 0; v < p.vocab; ++v) sum.add(v, exp(z[v] - most));
    const float total = sum.total();
    p.nll[r] = target < 0 ? 0.0f : std::log(total) + most - z[target];
    if (p.d_logits == nullptr) continue;
    const float scale = target < 0 ? 0.0f : p.coefficient[r] / total;
    for (i64 v = 0; v < p.vocab; ++v) {
      float d = scale * exp(z[v] - most);
      if (v == target) d -= p.coefficient[r];
      put(p.d_logits, r * p.vocab + v, p.d_dtype, d);
    }
  }
}

void adamw(const Context&, const AdamW& p) {
  for (i64 i = 0; i < p.n; ++i) {
    const float g = p.grad[i] * p.grad_scale;
    p.m[i] = std::fma(p.beta1, p.m[i], (1.0f - p.beta1) * g);
    p.v[i] = std::fma(p.beta2, p.v[i], (1.0f - p.beta2) * g * g);
    const float decayed = p.p[i] * (1.0f - p.lr * p.decay);
    p.p[i] = decayed - p.lr * ((p.m[i] / p.bias1) / (std::sqrt(p.v[i] / p.bias2) + p.eps));
    if (p.compute != nullptr) p.compute[i] = bf16(p.p[i]);
  }
}

void sum_squares(const Context&, const SumSquares& p) {
  double total = 0;
  for (i64 begin = 0; begin < p.n; begin += 4096) {
    Sum16 block;
    for (i64 i = begin; i < std::min(begin + 4096, p.n); ++i) block.add_product(i - begin, p.x[i], p.x[i]);
    total += block.total();
  }
  *p.result = total;
}

}  // namespace hadal::kernels::ref
