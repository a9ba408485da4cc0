#include <algorithm>
#include <numeric>

#include "base/report/html.h"
#include "eval/balance.h"
#include "eval/curves.h"
#include "train/optimizer.h"

namespace hadal::eval {

namespace {

using report::Heatmap;
using report::HtmlReport;
using report::LinePlot;
using report::Series;

constexpr std::size_t kMostLayers = 4;  // whose heatmaps are drawn

std::vector<const RunResult*> first_three(const std::vector<RunResult>& runs) {
  return {&runs[0], &runs[1], &runs[2]};  // as plan_balance orders them
}

std::vector<std::size_t> shown_layers(std::size_t layers) {
  std::vector<std::size_t> shown(std::min(layers, kMostLayers));
  for (std::size_t i = 0; i < shown.size(); ++i)
    shown[i] = shown.size() < 2 ? 0 : i * (layers - 1) / (shown.size() - 1);
  return shown;
}

double batch_violation(const train::StepMetrics& m) {
  return std::accumulate(m.max_violation.begin(), m.max_violation.end(), 0.0) /
         static_cast<double>(std::max<std::size_t>(1, m.max_violation.size()));
}

void violation_plots(HtmlReport& page, const std::vector<RunResult>& runs) {
  LinePlot batches{"MaxVio of each step's batch, mean of the layers", "tokens", "MaxVio", {}};
  LinePlot layers{"MaxVio over the held-out text, by MoE layer", "MoE layer", "MaxVio", {}};
  for (const RunResult* r : first_three(runs)) {
    batches.series.push_back(training_curve(*r, batch_violation));
    Series s{r->plan.variant, {}, {}};
    s.dots = true;
    const train::Evaluation all = r->total();
    for (std::size_t l = 0; l < all.loads_LE.size(); ++l) {
      s.xs.push_back(static_cast<double>(l + 1));
      s.ys.push_back(train::max_violation(all.loads_LE[l]));
    }
    layers.series.push_back(s);
  }
  batches.from_zero = layers.from_zero = layers.whole_x = true;
  page.plot(batches);
  page.plot(layers);
  page.plot(loss_curves(first_three(runs)));
}

// Held-out MaxVio and loss against a weight, on a logarithmic axis; runs whose weight is 0 are not drawn.
template <class F>
void sweep_plots(HtmlReport& page, const std::vector<RunResult>& runs, const std::string& weight, const F& value) {
  std::vector<const RunResult*> points;
  const std::int64_t seed = runs.front().plan.recipe.model.seed;
  for (const RunResult& r : runs) {
    if (r.plan.recipe.model.seed == seed && value(r) > 0) points.push_back(&r);
  }
  std::sort(points.begin(), points.end(),
            [&](const RunResult* a, const RunResult* b) { return value(*a) < value(*b); });
  Series violation{"MaxVio", {}, {}}, loss{"held-out loss", {}, {}};
  for (const RunResult* r : points) {
    const train::Evaluation e = r->total();
    violation.xs.push_back(value(*r));
    violation.ys.push_back(e.max_violation_mean());
    loss.xs.push_back(value(*r));
    loss.ys.push_back(e.loss());
  }
  violation.dots = loss.dots = true;
  LinePlot a{"MaxVio over the held-out text against " + weight, weight, "MaxVio, mean of the layers", {violation}};
  LinePlot b{"Held-out loss against " + weight, weight, "nats per token", {loss}};
  a.log_x = b.log_x = a.from_zero = true;
  a.note = fmt::format("Seed {}. With {} = 0 it is {:.3f} (run neither).", seed, weight,
                       runs[2].total().max_violation_mean());
  b.note = fmt::format("Seed {}. With {} = 0 it is {:.4f}.", seed, weight, runs[2].total().loss());
  page.plot(a);
  page.plot(b);
}

// Load of each expert on each kind of text, as multiples of the kind's mean load.
Heatmap kind_map(const RunResult& r, std::size_t layer) {
  Heatmap map;
  map.title = fmt::format("{}, MoE layer {}", r.plan.variant, layer + 1);
  map.x_label = "expert";
  map.y_label = "kind";
  for (const KindResult& k : r.kinds) {
    const auto& loads = k.evaluation.loads_LE[layer];
    const double mean = static_cast<double>(std::accumulate(loads.begin(), loads.end(), std::int64_t{0})) /
                        static_cast<double>(loads.size());
    std::vector<double> row;
    for (const std::int64_t n : loads) row.push_back(mean > 0 ? static_cast<double>(n) / mean : 0);
    map.values.push_back(row);
    map.rows.push_back(k.name);
  }
  map.x_last = static_cast<double>(map.values.front().size() - 1);
  return map;
}

void specialisation_part(HtmlReport& page, const std::vector<RunResult>& runs) {
  page.heading("What the experts are used for");
  page.paragraph(
      "Load of each expert on each kind of held-out text, as a multiple of the mean load on that kind: 1 is an even "
      "share. Specialisation is the mean over the kinds of the total variation distance between the loads on that kind "
      "and those on all kinds (each kind counts the same): 0 if every kind uses the experts alike.");
  std::vector<std::vector<std::string>> table = {{"specialisation"}};
  const std::size_t layers = runs.front().total().loads_LE.size();
  for (std::size_t l = 0; l < layers; ++l) table[0].push_back(fmt::format("MoE layer {}", l + 1));
  for (const RunResult* r : first_three(runs)) {
    table.push_back({r->plan.name});
    for (const double s : specialisation(r->kinds)) table.back().push_back(fmt::format("{:.3f}", s));
  }
  page.table(table);
  for (const std::size_t l : shown_layers(layers)) {
    for (const RunResult* r : first_three(runs)) page.heatmap(kind_map(*r, l));
  }
}

}  // namespace

void write_balance_report(const std::filesystem::path& path, const std::vector<RunResult>& runs,
                          const model::Config& config, const std::string& source) {
  HtmlReport page("Balance of experts: bias, auxiliary loss, neither", source);
  model_facts(page, runs.front(), config);
  page.paragraph(
      "The same model is trained three times for each seed, from the same weights on the same data: with the gate bias "
      "(no auxiliary loss), with the auxiliary loss (no bias), with neither. MaxVio = (greatest load - mean load) / "
      "mean "
      "load, counted over the whole held-out text; a table's MaxVio is the mean of the MoE layers.");
  page.table(verdict_table(judge_balance(runs)));
  page.paragraph(
      fmt::format("Asked of the bias for every seed: MaxVio at most {}, at least {} x lower than with neither, "
                  "held-out loss within "
                  "{} % of it.",
                  kMostViolation, kLeastRatio, 100 * kMostLossChange));
  page.heading("Balance");
  violation_plots(page, runs);
  page.heading("Gamma and alpha");
  sweep_plots(page, runs, "gamma", [](const RunResult& r) { return r.plan.recipe.balance.gamma; });
  sweep_plots(page, runs, "alpha", [](const RunResult& r) { return r.plan.recipe.balance.alpha; });
  specialisation_part(page, runs);
  page.heading("All runs");
  page.table(balance_table(runs));
  page.paragraph(
      "frozen goes on from the first run's model with gamma = 0: its bias is not 0 and does not move. In every other "
      "run "
      "the bias starts at 0; with gamma = 0 it stays there.");
  text_table(page, runs.front());
  recipe_of(page, runs.front());
  page.write(path);
}

}  // namespace hadal::eval
