// The machine's own limit.
#include <algorithm>
#include <chrono>

#include "kernels/kernels.h"
#include "train/trainer.h"

namespace hadal::train {

double measure_gemm_peak(const kernels::Context& cx, DType act, std::int64_t largest) {
  double best = 0;
  const bool slow = cx.isa() == kernels::Isa::ref;
  for (std::int64_t n = slow ? 64 : 1024; n <= (slow ? 64 : largest); n *= 2) {
    const Tensor a = Tensor::zeros({n, n}, act), b = Tensor::zeros({n, n}, act), c = Tensor::empty({n, n}, act);
    for (int i = 0; i < 4; ++i) {
      const auto start = std::chrono::steady_clock::now();
      kernels::run(cx, kernels::Matmul{.m = n,
                                       .n = n,
                                       .k = n,
                                       .a = a.raw(),
                                       .lda = n,
                                       .b = b.raw(),
                                       .ldb = n,
                                       .c = c.raw(),
                                       .ldc = n,
                                       .ab = act,
                                       .c_dtype = act});
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      best = std::max(best, 2.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n) / seconds);
    }
  }
  return best;
}

}  // namespace hadal::train
