#include "kernels/ref/optimizer.h"

#include <algorithm>

namespace hadal::kernels::ref {

void adamw(const Context&, const AdamW& p) {
  for (i64 i = 0; i < p.n; ++i) {
    adamw_element(p, p.grad[i], p.p[i], p.m[i], p.v[i]);
    if (p.compute != nullptr) p.compute[i] = bf16(p.p[i]);
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

}  // namespace hadal::kernels::ref
