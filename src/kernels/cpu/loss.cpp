// Cross-entropy of rows of logits.
#include <cmath>
#include <limits>

#include "kernels/cpu/rows.h"

namespace hadal::kernels::HADAL_ISA_NS {

namespace {

template <class G>
void cross_entropy_row(const CrossEntropy& p, i64 r) {
  const float* z = p.logits + r * p.vocab;
  const i32 target = p.targets[r];
  F32x16 lanes = set1(-std::numeric_limits<float>::infinity());
  i64 c = 0;
  for (; c + kLanes <= p.vocab; c += kLanes) lanes = max(load(z + c), lanes);
  float most = max_lane(lanes);
  for (; c < p.vocab; ++c) most = std::max(most, z[c]);
  const F32x16 top = set1(most);
  // exp runs once: its results wait where the gradient goes, or are only summed.
  F32x16 total16 = zero();
  over_columns(p.vocab, [&](i64 v, int n) {
    const F32x16 e = exp(get(z + v, n) - top);
    if (n == kLanes) {
      total16 = total16 + e;
      return;
    }
    alignas(64) float tail[kLanes];
    store(tail, e);
    std::fill(tail + n, tail + kLanes, 0.0f);
    total16 = total16 + load(tail);
  });
  const float total = sum(total16);
  const float own = z[target < 0 ? 0 : target];
  p.nll[r] = target < 0 ? 0.0f : std::log(total) + most - own;
  if (p.d_logits == nullptr) return;
  G* d = static_cast<G*>(p.d_logits) + r * p.vocab;
  const F32x16 scale = set1(target < 0 ? 0.0f : p.coefficient[r] / total);
  over_columns(p.vocab, [&](i64 v, int n) { put(d + v, scale * exp(get(z + v, n) - top), n); });
  if (target < 0) return;
  const float e = [&] {
    alignas(64) float lane[kLanes];
    store(lane, exp(set1(own) - top));
    return lane[0];
  }();
  d[target] = G(p.coefficient[r] / total * e - p.coefficient[r]);
}

}  // namespace

void cross_entropy(const Context& cx, const CrossEntropy& p) {
  with_type(p.d_dtype, [&]<class G>(G*) { over_rows(cx, p.rows, p.vocab, [&](i64 r) { cross_entropy_row<G>(p, r); }); });
}

}  // namespace hadal::kernels::HADAL_ISA_NS
