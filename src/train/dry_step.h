// Steps of a recipe that compute nothing: what plans walk through.
#pragma once

#include "tensor/sizes_only.h"
#include "train/batch.h"
#include "train/ema.h"

namespace hadal::train {

// Model, optimizer and context of a run, sizes only.
class DryRun {
 public:
  // like: gives threads and ISA.
  DryRun(const kernels::Context& like, const Recipe& recipe, const model::Config& config);

  // Rows of the largest step, and of how many micro-batches it is made.
  std::int64_t rows() const { return rows_; }
  std::int64_t micro_batches() const { return micro_batches_; }
  // Forward and backward of the step's first micro-batches, two at most; numbers of gradients' storages are noted.
  void batch();
  // What comes after: norm, AdamW, average.
  void update();
  // One pass over as many rows as share one, at most; returns how many.
  std::size_t validate(std::size_t heldout_rows);

  // Sets of gradients that micro-batches left out would have put aside (accumulate.h): kept as tensors until the
  // object goes.
  void hold_sums();
  void drop_sums() { sums_.clear(); }

  SizesOnly sizes;
  kernels::Context cx;
  model::CausalLm model;
  std::size_t weights;  // bytes of the model alone
  Optimizer optimizer;
  Ema ema;
  std::vector<std::size_t> gradients;  // numbers of storages

 private:
  const Recipe& recipe_;
  std::int64_t rows_ = 0, micro_batches_ = 1;
  std::vector<Tensor> sums_;
};

}  // namespace hadal::train
