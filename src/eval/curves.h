// What the pages of the studies share: curves of the training, and what was run.
#pragma once

#include <string>
#include <vector>

#include "base/report/html.h"
#include "eval/study.h"
#include "model/config.h"

namespace hadal::eval {

// y of every step against tokens, a smoothed line.
template <class F>
report::Series training_curve(const RunResult& run, const F& y) {
  report::Series s{run.plan.variant, {}, {}, true};
  for (const train::StepMetrics& m : run.steps_log) {
    s.xs.push_back(static_cast<double>(m.tokens));
    s.ys.push_back(y(m));
  }
  return s;
}

report::LinePlot loss_curves(const std::vector<const RunResult*>& runs);

// Facts about model, training and text; the kinds of text as a table; the recipe of the first run, folded away.
void model_facts(report::HtmlReport& page, const RunResult& run, const model::Config& config);
void text_table(report::HtmlReport& page, const RunResult& run);
void recipe_of(report::HtmlReport& page, const RunResult& run);

}  // namespace hadal::eval
