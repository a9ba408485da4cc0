// V3's schedules, tied to tokens and not to steps (SPEC §6.1, §9.27).
#pragma once

#include <cstdint>
#include <vector>

#include "train/recipe.h"

namespace hadal::train {

// Linear warm-up, constant, cosine to `final`, then further constant stages: V3's shape; a constant or a
// warm-up/stable/decay schedule are special cases. All lengths in tokens.
struct LrSchedule {
  double peak = 0, final = 0;
  std::int64_t warmup = 0, stable = 0, decay = 0;
  struct Stage {
    std::int64_t from = 0;  // tokens
    double lr = 0;
  };
  std::vector<Stage> tail;  // rising `from`, after the decay
  // Learning rate of the step that starts after `tokens` tokens; `step_tokens` is what one step consumes, so that the
  // first step already has a positive rate during warm-up.
  double at(std::int64_t tokens, std::int64_t step_tokens) const;
};

// A value that switches at given token counts: gamma, lambda.
struct StepSchedule {
  double first = 0;
  struct Stage {
    std::int64_t from = 0;
    double value = 0;
  };
  std::vector<Stage> stages;
  double at(std::int64_t tokens) const;
};

// Rows of a step (the global batch): linear in tokens from `start` to `full` over the first `ramp_tokens` tokens (V3:
// 3072 to 15360 over 469B), rounded down to a multiple of `multiple`, of which `start` and `full` are multiples. The
// last step takes what is left up to `all_tokens`, rounded up to a multiple.
struct BatchRamp {
  std::int64_t start = 1, full = 1, multiple = 1;
  std::int64_t ramp_tokens = 0, all_tokens = 0, row_tokens = 1;
  std::int64_t rows_at(std::int64_t tokens) const;
  // How many steps there are; of runs of many millions of steps an estimate.
  double steps() const;
};

struct Schedules {
  LrSchedule lr;
  StepSchedule gamma, lambda;
  BatchRamp rows;
};
// Shares of a recipe's tokens as numbers of tokens.
Schedules schedules_of(const Recipe& recipe);

}  // namespace hadal::train
