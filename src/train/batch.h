// The gradients of one global batch: its micro-batches one after the other, summed by a GradientTree. What a step of
// the trainer, of its plan and of its calibration have in common.
#pragma once

#include <functional>
#include <vector>

#include "train/metrics.h"
#include "train/objective.h"
#include "train/optimizer.h"
#include "train/recipe.h"
#include "train/rows.h"

namespace hadal::train {

struct BatchRun {
  const kernels::Context& cx;
  model::CausalLm& model;
  Optimizer& optimizer;
  const Recipe& recipe;
  // Called when the optimizer holds the gradients of the micro-batch that begins with row `first`.
  std::function<void(std::int64_t first, ObjectiveResult&)> after_backward;
};

// Forward and backward of `rows`, a multiple of train.micro_rows. m.lambda is read; losses and loads are added to m.
// The optimizer then holds the gradients of the whole batch.
void run_batch(const BatchRun& run, const std::vector<SourceRow>& rows, StepMetrics& m);

}  // namespace hadal::train
