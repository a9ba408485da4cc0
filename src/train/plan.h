// What a recipe's training will take, before it begins: the memory of its largest step, and the time of a step.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kernels/context.h"
#include "kernels/profile.h"
#include "model/config.h"
#include "train/recipe.h"

namespace hadal::train {

// Bytes at the moment at which a step (or a validation) holds the most.
struct MemoryPlan {
  std::size_t weights = 0;  // as the model computes with them, and its tables
  std::size_t masters = 0;  // f32, beside compute weights that are not
  std::size_t moments = 0;
  std::size_t average = 0;      // of the weights (optimizer.ema)
  std::size_t gradients = 0;    // of weights, sums of micro-batches included
  std::size_t activations = 0;  // and their gradients, logits
  std::size_t scratch = 0;      // of kernels
  bool in_validation = false;   // the moment is a validation's
  std::size_t tensors() const { return weights + masters + moments + average + gradients + activations + scratch; }
  // What large tensors' memory may hold beside them: BlockCache::kSlack.
  std::size_t held() const { return tensors() / 64; }
  std::size_t total() const { return tensors() + held(); }
  std::vector<std::pair<std::string, std::size_t>> parts() const;  // by name, held() included
};

// Walks the model's own code with the recipe's sizes: two steps and a validation of `heldout_rows` rows. No memory of
// that size is used. cx gives the number of threads and the ISA, whose scratch counts.
MemoryPlan plan_memory(const kernels::Context& cx, const Recipe& recipe, const model::Config& config,
                       std::size_t heldout_rows);

// What parameters alone take, without a walk: a bound from below for models far too large.
std::size_t least_memory(const Recipe& recipe, const model::Config& config);

// Changes of the recipe that make it fit into `limit` bytes, `other` of which are taken: as few as will do. Each is the
// list of its key=value and the bytes it needs, `other` included. Empty: nothing of recompute, micro_rows and moments
// suffices.
struct Remedy {
  std::vector<std::string> settings;
  std::size_t bytes = 0;
};
std::vector<Remedy> remedies(const kernels::Context& cx, const Recipe& recipe, const model::Config& config,
                             std::size_t heldout_rows, std::size_t other, std::size_t limit);

// Rows that the validations of a run read: each of them; the first and the last (validation.full).
struct ValidationRows {
  std::size_t each = 0, ends = 0;
};
// text_rows: of data.heldout, as many as are needed (most_validation_rows).
ValidationRows validation_rows(const Recipe& recipe, std::size_t text_rows);

// Time of a step, and of a run.
struct TimePlan {
  double seconds = 0;
  double steps = 0,
         validations = 0;         // of the run, the first and the last validation included; 0: train.tokens is not set
  double validation_seconds = 0;  // of one on the way
  double all_validations_seconds = 0;  // of all of them
  double run_seconds = 0;              // steps and validations
  double tokens = 0, flops = 0;        // of a step
  double peak_flops = 0;               // of this machine's instructions, on these threads
  // What the calibration ran: a model of the same widths with so many layers, on so many rows. 0 layers: the model's
  // widths alone do not fit into memory, and the time is flops at an assumed 60 % of the peak.
  std::int64_t layers = 0, rows = 0;
  // Kernels by what they take of the step, the longest first.
  struct Part {
    std::string name;
    double seconds = 0, flops = 0;
  };
  std::vector<Part> parts;
};

// Measures a few steps of the calibration's model (as long as such steps take) and scales each kind of kernel by the
// work that the recipe gives it.
TimePlan plan_time(const kernels::Context& cx, const Recipe& recipe, const model::Config& config, std::size_t limit,
                   const ValidationRows& validation);

}  // namespace hadal::train
