#include "kernels/ref/loss.h"

#include <vector>

namespace hadal::kernels::ref {

void cross_entropy(const Context&, const CrossEntropy& p) {
  const bool backward = p.d_logits != nullptr;
  std::vector<float> d(static_cast<std::size_t>(backward ? p.vocab : 0));
  for (i64 r = 0; r < p.rows; ++r) {
    p.nll[r] = cross_entropy_row(p.vocab, p.logits + r * p.vocab, p.targets[r], backward ? p.coefficient[r] : 0.0f,
                                 backward ? d.data() : nullptr);
    write_row(p.d_logits, r * p.vocab, d, p.d_dtype);
  }
}

}  // namespace hadal::kernels::ref
