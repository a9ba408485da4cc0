// The training loop: rows in, checkpoints, metrics and a report out. Resumes to the bit.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>

#include "train/checkpoint.h"
#include "train/metrics.h"
#include "train/recipe.h"
#include "train/rows.h"
#include "train/validator.h"

namespace hadal::train {

struct TrainerInput {
  Recipe recipe;
  std::filesystem::path run_dir;
  model::Config config;  // vocab_size is that of the tokenizer
  RowSource* rows = nullptr;
  ValidationText heldout;                              // may be empty
  std::function<std::int64_t(std::int32_t)> bytes_of;  // UTF-8 bytes of a token
  double peak_flops = 0;                               // for share_of_peak, FLOP/s; 0: measured
  const std::atomic<bool>* stop = nullptr;             // set by a signal: save and return
  std::function<void(const StepMetrics&)> on_step;     // progress
  // Of a validation, after each pass: rows done, of how many.
  std::function<void(std::int64_t rows, std::int64_t all)> on_validation;
  std::function<void(const std::string&)> on_message;  // one line for the user
  // What else is written into the run's folder (a report): called once the last checkpoint is saved, while the folder
  // is still held. May be empty.
  std::function<void(const struct TrainerOutcome&)> at_end;
};

struct TrainerOutcome {
  bool finished = false;  // false: stopped by the signal; before the first step nothing is saved
  std::int64_t step = 0, tokens = 0;
  std::int64_t steps_made = 0;  // by this call
  double seconds = 0;
  // The last validation, if this call made it: of which rows, and what came of it.
  std::string validated;
  Evaluation after;
};

// Starts the run, or goes on from its latest checkpoint. Throws Error if the recipe has changed (naming the keys), or
// for what save_checkpoint and load_checkpoint throw.
TrainerOutcome train(const kernels::Context& cx, const TrainerInput& input);

}  // namespace hadal::train
