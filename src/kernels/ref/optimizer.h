// The definition of one AdamW step on one element (decoupled weight decay, both moments corrected for their bias).
#pragma once

#include "kernels/ref/scalar.h"

namespace hadal::kernels::ref {

// Settings from p; weight, m and v are updated. The order of operations is part of the definition.
template <class N>
void adamw_element(const AdamW& p, N grad, N& weight, N& m, N& v) {
  const N beta1 = p.beta1, beta2 = p.beta2, lr = p.lr;
  const N g = grad * static_cast<N>(p.grad_scale);
  m = std::fma(beta1, m, (N(1) - beta1) * g);
  v = std::fma(beta2, v, (N(1) - beta2) * g * g);
  const N decayed = weight * (N(1) - lr * static_cast<N>(p.decay));
  const N step = (m / static_cast<N>(p.bias1)) / (std::sqrt(v / static_cast<N>(p.bias2)) + static_cast<N>(p.eps));
  weight = std::fma(-lr, step, decayed);
}

}  // namespace hadal::kernels::ref
