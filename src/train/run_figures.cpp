#include "train/run_figures.h"

#include <algorithm>
#include <cmath>

namespace hadal::train {

std::vector<std::vector<Validated>> validations(const StepLog& log, const std::vector<Validation>& before) {
  std::vector<std::vector<Validated>> groups;
  const auto add = [&](const Validated& v) {
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const auto& g) { return g.front().figures.name == v.figures.name; });
    if (group == groups.end()) group = groups.insert(groups.end(), std::vector<Validated>());
    group->push_back(v);
  };
  for (const Validation& v : before) add({0, 0, v});
  for (const StepMetrics& m : log) {
    for (const Validation& v : m.validations) add({m.step, m.tokens, v});
  }
  return groups;
}

std::optional<Validated> last_validation(const StepLog& log) {
  const auto m = std::find_if(log.rbegin(), log.rend(), [](const StepMetrics& s) { return !s.validations.empty(); });
  if (m == log.rend()) return std::nullopt;
  const auto whole =
      std::find_if(m->validations.begin(), m->validations.end(), [](const Validation& v) { return v.whole; });
  return Validated{m->step, m->tokens, whole == m->validations.end() ? m->validations.back() : *whole};
}

Pace pace(const StepLog& log, std::size_t steps) {
  Pace p;
  double tokens = 0, share = 0;
  const std::size_t n = steps == 0 ? log.size() : std::min(steps, log.size());
  for (std::size_t i = log.size() - n; i < log.size(); ++i) {
    p.seconds += log[i].seconds;
    tokens += log[i].tokens_per_second * log[i].seconds;
    share += log[i].share_of_peak * log[i].seconds;
  }
  if (p.seconds > 0) {
    p.tokens_per_second = tokens / p.seconds;
    p.share_of_peak = share / p.seconds;
  }
  return p;
}

double recent_lm_loss(const StepLog& log) {
  double sum = 0, n = 0;
  for (std::size_t i = log.size() - std::min(kRecentSteps, log.size()); i < log.size(); ++i) {
    if (!std::isfinite(log[i].lm_loss)) continue;
    sum += log[i].lm_loss;
    ++n;
  }
  return sum / n;
}

std::vector<std::pair<std::string, std::int64_t>> skipped_steps(const StepLog& log) {
  std::vector<std::pair<std::string, std::int64_t>> causes;
  for (const StepMetrics& m : log) {
    if (m.skipped.empty()) continue;
    auto known = std::find_if(causes.begin(), causes.end(), [&](const auto& c) { return c.first == m.skipped; });
    if (known == causes.end()) known = causes.insert(causes.end(), {m.skipped, 0});
    ++known->second;
  }
  return causes;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

}  // namespace hadal::train
