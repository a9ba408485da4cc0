#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace hadal::train {

double LrSchedule::at(std::int64_t tokens, std::int64_t step_tokens) const {
  if (tokens < warmup)
    return peak * std::min(1.0, static_cast<double>(tokens + step_tokens) / static_cast<double>(warmup));
  double lr = peak;
  const std::int64_t into = tokens - warmup - stable;
  if (decay > 0 && into > 0) {
    const double progress = std::min(1.0, static_cast<double>(into) / static_cast<double>(decay));
    lr = final + (peak - final) * 0.5 * (1 + std::cos(std::numbers::pi * progress));
  }
  for (const Stage& stage : tail) {
    if (tokens >= stage.from) lr = stage.lr;
  }
  return lr;
}

double StepSchedule::at(std::int64_t tokens) const {
  double value = first;
  for (const Stage& stage : stages) {
    if (tokens >= stage.from) value = stage.value;
  }
  return value;
}

}  // namespace hadal::train
