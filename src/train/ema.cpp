#include "train/ema.h"

#include "kernels/kernels.h"

namespace hadal::train {

Ema::Ema(const Optimizer& optimizer, double decay) : optimizer_(&optimizer), decay_(decay) {
  if (decay == 0) return;
  for (const TrainedParameter& p : optimizer.parameters()) tensors_.push_back(p.master.clone());
}

void Ema::update(const kernels::Context& cx, bool first) {
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const Tensor& master = optimizer_->parameters()[i].master;
    if (first) {
      tensors_[i].copy_from(master);
    } else {
      kernels::run(cx, kernels::Ema{.n = master.numel(),
                                    .x = master.data<float>(),
                                    .average = tensors_[i].data<float>(),
                                    .decay = static_cast<float>(decay_)});
    }
  }
}

}  // namespace hadal::train
