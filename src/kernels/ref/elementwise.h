// The definition of SwiGLU on one element.
#pragma once

#include "kernels/ref/scalar.h"

namespace hadal::kernels::ref {

// silu(g) u
template <class N>
N swiglu_element(N g, N u) {
  return g * sigmoid(g) * u;
}

template <class N>
struct SwigluGradient {
  N dg, du;
};
// silu'(g) = s (1 + g (1 - s)) with s = sigmoid(g)
template <class N>
SwigluGradient<N> swiglu_backward_element(N g, N u, N dh) {
  const N s = sigmoid(g);
  return {dh * u * (s * std::fma(g, N(1) - s, N(1))), dh * (g * s)};
}

}  // namespace hadal::kernels::ref
