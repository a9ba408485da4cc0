#include "cli/run_json.h"

#include "base/json.h"

namespace hadal::cli {

namespace {

json to_json(const train::Validated& v) {
  const train::Validation& f = v.figures;
  return {{"name", f.name},
          {"step", v.step},
          {"rows", f.rows},
          {"whole", f.whole},
          {"lm_loss", f.lm_loss},
          {"bits_per_byte", f.bits_per_byte},
          {"max_violation", f.max_violation},
          {"mtp_acceptance", f.mtp_acceptance}};
}

}  // namespace

json run_figures(const train::StepLog& steps) {
  json validation = json::array();
  for (const auto& group : train::validations(steps, {})) validation.push_back(to_json(group.back()));
  const bool any = !steps.empty();
  const train::StepMetrics m = any ? steps.back() : train::StepMetrics{};
  const train::Pace recent = train::pace(steps, train::kRecentSteps);
  const auto known = [&](const json& value) { return any ? value : json(); };
  return {{"step", m.step},
          {"tokens", m.tokens},
          {"total_tokens", known(m.total_tokens)},
          {"lm_loss", known(m.lm_loss)},
          {"lm_loss_recent", known(train::recent_lm_loss(steps))},
          {"mtp_loss", m.mtp_loss},
          {"grad_norm", known(m.grad_norm)},
          {"lr", known(m.lr)},
          {"tokens_per_second", known(recent.tokens_per_second)},
          {"share_of_peak", known(recent.share_of_peak)},
          {"max_violation", m.max_violation},
          {"memory_gib", known(m.memory_gib)},
          {"validation", validation}};
}

}  // namespace hadal::cli
