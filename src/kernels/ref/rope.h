// The definition of the rotary embedding on one head of one row (SPEC §1.5).
#pragma once

#include "kernels/ref/scalar.h"

namespace hadal::kernels::ref {

// Pair i is (2i, 2i + 1) if interleaved, else (i, i + rot / 2). x, y (rot), may be the same; cosine, sine (rot / 2).
template <class N>
void rope_row(i64 rot, bool interleaved, bool inverse, const N* x, const N* cosine, const N* sine, N* y) {
  for (i64 i = 0; i < rot / 2; ++i) {
    const i64 first = interleaved ? 2 * i : i, second = interleaved ? 2 * i + 1 : i + rot / 2;
    const N a = x[first], b = x[second], c = cosine[i], s = inverse ? -sine[i] : sine[i];
    y[first] = std::fma(a, c, b * -s);
    y[second] = std::fma(b, c, a * s);
  }
}

}  // namespace hadal::kernels::ref
