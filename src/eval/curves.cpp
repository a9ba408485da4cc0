#include "eval/curves.h"

#include <algorithm>

#include "base/progress.h"
#include "model/accounting.h"

namespace hadal::eval {

report::LinePlot loss_curves(const std::vector<const RunResult*>& runs) {
  report::LinePlot plot{"Training loss", "tokens", "nats per token", {}};
  for (const RunResult* r : runs)
    plot.series.push_back(training_curve(*r, [](const train::StepMetrics& m) { return m.lm_loss; }));
  const bool smooth = std::any_of(plot.series.begin(), plot.series.end(),
                                  [](const report::Series& s) { return s.ys.size() >= report::kMinSmooth; });
  plot.note = fmt::format("Next token, each step's batch{}.", smooth ? "; the bold line is a running mean" : "");
  return plot;
}

void model_facts(report::HtmlReport& page, const RunResult& run, const model::Config& c) {
  const model::Accounting a = model::account(c, run.plan.recipe.data.sequence_length);
  page.facts({{"parameters", short_number(static_cast<double>(a.parameters))},
              {"active per token", short_number(static_cast<double>(a.active_head_only))},
              {"experts, chosen, shared",
               fmt::format("{}, {}, {}", c.n_routed_experts, c.num_experts_per_tok, c.n_shared_experts)},
              {"tokens of the first run", short_number(static_cast<double>(run.tokens))},
              {"held-out tokens", short_number(static_cast<double>(run.total().tokens))}});
}

void text_table(report::HtmlReport& page, const RunResult& run) {
  std::vector<std::vector<std::string>> table = {{"kind of held-out text", "tokens", "bytes"}};
  for (const KindResult& k : run.kinds)
    table.push_back({k.name, fmt::format("{}", k.evaluation.tokens), fmt::format("{}", k.evaluation.bytes)});
  page.table(table);
}

void recipe_of(report::HtmlReport& page, const RunResult& run) {
  page.folded("recipe of " + run.plan.name, train::to_toml(run.plan.recipe));
}

}  // namespace hadal::eval
