// Figures of a run, out of its metrics: one way to count for the report, the live view and the tables.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/metrics.h"

namespace hadal::train {

using StepLog = std::vector<StepMetrics>;

// Losses, speeds and ETA that are shown beside those of the last step are means over so many.
inline constexpr std::size_t kRecentSteps = 20;

// A validation and when it was made; before training: step 0.
struct Validated {
  std::int64_t step = 0, tokens = 0;
  Validation figures;
};
// One list for each name, in the order of their first figures, each by step. before: as read_before() has it.
std::vector<std::vector<Validated>> validations(const StepLog& log, const std::vector<Validation>& before);
// The last one of all, a whole text before its first rows; nothing if there is none.
std::optional<Validated> last_validation(const StepLog& log);

// Of training steps alone, without validations, checkpoints and pauses; means are weighted by time.
struct Pace {
  double seconds = 0, tokens_per_second = 0, share_of_peak = 0;
};
// Of the last `steps`; 0: of all.
Pace pace(const StepLog& log, std::size_t steps = 0);

// Mean lm loss of the last kRecentSteps steps, those left out whose loss is not finite; NaN if there is none.
double recent_lm_loss(const StepLog& log);

// How many steps were skipped for each cause, in the order of the first.
std::vector<std::pair<std::string, std::int64_t>> skipped_steps(const StepLog& log);

// Mean of values, 0 for none; StepMetrics::max_violation over the gates, above all.
double mean_of(const std::vector<double>& values);

}  // namespace hadal::train
