#include "train/accumulate.h"

#include <cstring>
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
  for (TrainedParameter& p : optimizer_->parameters()) {
    sum.push_back(p.grad.clone());
    p.fresh = true;
  }
  std::size_t level = 0;
  for (; level < levels_.size() && !levels_[level].empty(); ++level) {
    Buffers earlier = std::exchange(levels_[level], {});
    for (std::size_t i = 0; i < sum.size(); ++i) add_into(cx, earlier[i], sum[i]);
    sum = std::move(earlier);
  }
  if (level == levels_.size()) levels_.emplace_back();
  levels_[level] = std::move(sum);
  ++count_;
}

void GradientTree::finish(const kernels::Context& cx) {
  for (TrainedParameter& p : optimizer_->parameters()) {
    if (std::exchange(p.fresh, false)) std::memset(p.grad.raw(), 0, p.grad.bytes());
  }
  // Earlier micro-batches stand in higher levels: add from the top down.
  for (std::size_t level = levels_.size(); level-- > 0;) {
    for (std::size_t i = 0; i < levels_[level].size(); ++i)
      add_into(cx, optimizer_->parameters()[i].grad, levels_[level][i]);
  }
  levels_.clear();
  count_ = 0;
}

}  // namespace hadal::train
