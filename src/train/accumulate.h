// Gradients of micro-batches summed as a binary tree in global order (DESIGN §3), so that another number of workers can
// give the same bits: log2(n) buffers.
#pragma once

#include <vector>

#include "train/optimizer.h"

namespace hadal::train {

class GradientTree {
 public:
  explicit GradientTree(Optimizer& optimizer) : optimizer_(&optimizer) {}
  // The optimizer's gradients are those of micro-batch number `count()`; they are taken in: it has none after that.
  void take(const kernels::Context& cx);
  // Puts the sum of all into the optimizer's gradients and starts anew.
  void finish(const kernels::Context& cx);
  std::int64_t count() const { return count_; }

 private:
  using Buffers = std::vector<Tensor>;  // one for each parameter
  Optimizer* optimizer_;
  std::vector<Buffers> levels_;  // level l holds the sum of 2^l micro-batches; empty if there is none
  std::int64_t count_ = 0;
};

}  // namespace hadal::train
