#include "model/config.h"

#include <cmath>

namespace hadal::model {

double Config::softmax_scale() const {
  const double d = static_cast<double>(is_mla() ? qk_nope_head_dim + qk_rope_head_dim : head_dim);
  double scale = 1 / std::sqrt(d);
  if (is_mla() && rope.type == RopeScaling::Type::yarn && rope.mscale_all_dim != 0 && rope.factor > 1) {
    const double m = 0.1 * rope.mscale_all_dim * std::log(rope.factor) + 1;
    scale *= m * m;
  }
  return scale;
}

}  // namespace hadal::model
