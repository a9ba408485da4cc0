// Exponential moving average of the master weights in f32 (SPEC §6.3; V3 keeps one, with an undisclosed decay):
// e = decay e + (1 - decay) w after every applied step; the first one copies w, so that random initial weights have no
// part in it. Gate biases are not averaged: an average of a control variable steers nothing, exports take the live
// ones.
#pragma once

#include <vector>

#include "train/optimizer.h"

namespace hadal::train {

class Ema {
 public:
  // decay 0: no average is kept, and tensors() is empty.
  Ema(const Optimizer& optimizer, double decay);
  // first: no step has been applied before this one.
  void update(const kernels::Context& cx, bool first);
  // In the order of the optimizer's parameters; the initial masters before the first step.
  const std::vector<Tensor>& tensors() const { return tensors_; }

 private:
  const Optimizer* optimizer_;
  double decay_;
  std::vector<Tensor> tensors_;
};

}  // namespace hadal::train
