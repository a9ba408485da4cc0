// Cross-entropy over rows of logits; ref/loss.h is the definition.
#include <cmath>
#include <limits>

#include "kernels/cpu/lanes.h"
#include "kernels/declare.h"
#include "kernels/kernels.h"

namespace hadal::kernels::HADAL_ISA_NS {

HADAL_KERNELS(HADAL_DECLARE)

namespace {

// d (vocab) or null; it may be z.
template <class D>
float cross_entropy_row(i64 vocab, const float* z, i64 target, float coefficient, D* d) {
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  constexpr bool kKeep = std::is_same_v<D, float>;  // exp(z - max) waits in d for its factor: nothing is lost
  F32x16 top = set1(kLowest), total = zero();
  for_lanes(vocab, [&](i64 v, auto lanes) { top = max(top, fill(load(z + v, lanes), kLowest, lanes)); });
  const float greatest = max_lane(top), below = z[target] - greatest;
  const F32x16 most = set1(greatest);
  for_lanes(vocab, [&](i64 v, auto lanes) {
    const F32x16 e = exp(load(z + v, lanes) - most);
    total = total + fill(e, 0.0f, lanes);
    if (kKeep && d != nullptr) store(d + v, e, lanes);
  });
  const float all = sum(total), nll = std::log(all) - below;
  if (d == nullptr) return nll;
  const F32x16 factor = set1(coefficient / all);
  const auto gradient = [&](i64 v, auto lanes) {
    if constexpr (kKeep) {
      return factor * load(d + v, lanes);
    } else {
      return factor * exp(load(z + v, lanes) - most);
    }
  };
  // The target's element gets its own term before it is rounded.
  float around[kLanes];
  const i64 block = target / kLanes * kLanes;
  const int n = static_cast<int>(std::min<i64>(kLanes, vocab - block));
  store(around, gradient(block, First{n}));
  around[target - block] -= coefficient;
  for_lanes(vocab, [&](i64 v, auto lanes) { store(d + v, gradient(v, lanes), lanes); });
  store_n(d + block, load(around), n);
  return nll;
}

}  // namespace

void cross_entropy(const Context& cx, const CrossEntropy& p) {
  with_type(p.d_dtype, [&](auto type) {
    using D = decltype(type);
    run_blocks(cx, p.rows, 4 * p.vocab, [&](i64 begin, i64 end, int) {
      for (i64 r = begin; r < end; ++r) {
        D* d = p.d_logits != nullptr ? static_cast<D*>(p.d_logits) + r * p.vocab : nullptr;
        if (p.targets[r] < 0) {
          p.nll[r] = 0.0f;
          if (d != nullptr) std::fill_n(d, p.vocab, D(0.0f));
          continue;
        }
        const float coefficient = d != nullptr ? p.coefficient[r] : 0.0f;
        p.nll[r] = cross_entropy_row(p.vocab, p.logits + r * p.vocab, p.targets[r], coefficient, d);
      }
    });
  });
}

}  // namespace hadal::kernels::HADAL_ISA_NS
