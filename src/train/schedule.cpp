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

std::int64_t BatchRamp::rows_at(std::int64_t tokens) const {
  std::int64_t rows = full;
  if (tokens < ramp_tokens) {
    const double risen = static_cast<double>(tokens) / static_cast<double>(ramp_tokens);
    rows = start + static_cast<std::int64_t>(risen * static_cast<double>(full - start));
    rows -= rows % multiple;
  }
  const std::int64_t left = (std::max<std::int64_t>(1, all_tokens - tokens) + row_tokens - 1) / row_tokens;
  return std::min(rows, (left + multiple - 1) / multiple * multiple);
}

double BatchRamp::steps() const {
  constexpr int kCounted = 10'000'000;
  std::int64_t tokens = 0;
  int step = 0;
  for (; tokens < all_tokens && tokens < ramp_tokens && step < kCounted; ++step) tokens += rows_at(tokens) * row_tokens;
  return step + std::ceil(static_cast<double>(std::max<std::int64_t>(0, all_tokens - tokens)) /
                          static_cast<double>(full * row_tokens));
}

Schedules schedules_of(const Recipe& r) {
  const std::int64_t all = r.train.tokens;
  const auto share = [all](double of_tokens) { return std::llround(of_tokens * static_cast<double>(all)); };
  Schedules s;
  s.lr.peak = r.lr.peak;
  s.lr.final = r.lr.final;
  s.lr.warmup = share(r.lr.warmup_share);
  s.lr.stable = share(r.lr.stable_share);
  const std::int64_t tail = r.lr.tail_from.empty() ? all : share(r.lr.tail_from.front());
  s.lr.decay = std::max<std::int64_t>(0, tail - s.lr.warmup - s.lr.stable);
  for (std::size_t i = 0; i < r.lr.tail_from.size(); ++i)
    s.lr.tail.push_back({share(r.lr.tail_from[i]), r.lr.tail_lr[i]});
  s.gamma = {r.balance.gamma, {{share(r.balance.gamma_until), r.balance.gamma_final}}};
  s.lambda = {r.mtp.lambda, {{share(r.mtp.lambda_until), r.mtp.lambda_final}}};
  s.rows = {.start = r.train.rows_start > 0 ? r.train.rows_start : r.train.rows,
            .full = r.train.rows,
            .multiple = rows_multiple(r),
            .ramp_tokens = r.train.rows_start > 0 ? share(r.train.ramp_share) : 0,
            .all_tokens = all,
            .row_tokens = r.data.sequence_length};
  return s;
}

}  // namespace hadal::train
