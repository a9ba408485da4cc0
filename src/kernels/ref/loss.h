// The definition of cross-entropy on one row of logits.
#pragma once

#include <algorithm>

#include "kernels/ref/scalar.h"

namespace hadal::kernels::ref {

// nll = log(sum exp(z - max)) - (z[target] - max); d (vocab) = coefficient (softmax - onehot), null if not wanted, may
// be z. target -1: zeros. NaN anywhere in z makes nll NaN.
template <class N>
N cross_entropy_row(i64 vocab, const N* z, i64 target, N coefficient, N* d) {
  if (target < 0) {
    if (d != nullptr) std::fill_n(d, vocab, N(0));
    return 0;
  }
  const N most = *std::max_element(z, z + vocab);
  PartialSums<N> sum;
  for (i64 v = 0; v < vocab; ++v) sum.add(v, exp(z[v] - most));
  const N total = sum.total(), nll = std::log(total) - (z[target] - most);
  if (d == nullptr) return nll;
  for (i64 v = 0; v < vocab; ++v) d[v] = coefficient / total * exp(z[v] - most);
  d[target] -= coefficient;
  return nll;
}

}  // namespace hadal::kernels::ref
