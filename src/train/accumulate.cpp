#include "train/accumulate.h"

#include <utility>

#include "kernels/kernels.h"

namespace hadal::train {

namespace {

// a += b
void add_into(const kernels::Context& cx, const Tensor& a, const Tensor& b) {
  kernels::run(cx, kernels::Add{.n = a.numel(), .a = a.raw(), .b = b.raw(), .y = a.raw()});
}

}  // namespace

void GradientTree::take(const kernels::Context& cx) {
  Buffers sum;
  for (TrainedParameter& p : optimizer_->parameters()) sum.push_back(std::exchange(p.grad, {}));
  std::size_t level = 0;
  for (; level < levels_.size() && !levels_[level].empty(); ++level) {
    Buffers earlier = std::exchange(levels_[level], {});
    for (std::size_t i = 0; i < sum.size(); ++i) {
      add_into(cx, earlier[i], sum[i]);
      sum[i] = Tensor();
    }
    sum = std::move(earlier);
  }
  if (level == levels_.size()) levels_.emplace_back();
  levels_[level] = std::move(sum);
  ++count_;
}

void GradientTree::finish(const kernels::Context& cx) {
  // Earlier micro-batches stand in higher levels: add from the top down.
  for (std::size_t level = levels_.size(); level-- > 0;) {
    for (std::size_t i = 0; i < levels_[level].size(); ++i) {
      Tensor& grad = optimizer_->parameters()[i].grad;
      Tensor part = std::move(levels_[level][i]);
      if (!grad.defined()) {
        grad = std::move(part);
      } else {
        add_into(cx, grad, part);
      }
    }
  }
  levels_.clear();
  count_ = 0;
}

}  // namespace hadal::train
