// The figures of a run as JSON, for `pretrain --json` and `watch --json`. docs/training.md has a table of the keys.
#pragma once

#include "base/json_fwd.h"
#include "train/run_figures.h"

namespace hadal::cli {

// Of the last step, with means over the last steps as `hadal watch` shows them, and the last validation of each name.
// A run without a step has step 0 and null for what only a step can have.
json run_figures(const train::StepLog& steps);

}  // namespace hadal::cli
