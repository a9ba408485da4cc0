#include "train/compare.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/report/html.h"
#include "train/recipe.h"
#include "train/recipe_text.h"
#include "train/report_words.h"
#include "train/run_figures.h"

namespace hadal::train {

namespace {

using report::LinePlot;
using report::Series;
using report::Table;

std::vector<fs::path> parts_of(const fs::path& dir) {
  const fs::path whole = fs::absolute(dir).lexically_normal();
  std::vector<fs::path> parts;
  for (const fs::path& part : whole.relative_path()) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

std::string end_of(const std::vector<fs::path>& parts, std::size_t length) {
  fs::path end;
  for (std::size_t i = parts.size() - std::min(length, parts.size()); i < parts.size(); ++i) end /= parts[i];
  return end.string();
}

struct Run {
  std::string name;
  StepLog log;
  std::vector<Validation> before;
};

std::vector<Run> read(const std::vector<std::string>& names, const std::vector<fs::path>& dirs) {
  std::vector<Run> runs;
  for (std::size_t i = 0; i < dirs.size(); ++i) {
    runs.push_back({names[i], read_metrics(dirs[i] / "metrics.jsonl"), read_before(dirs[i])});
    if (runs.back().log.empty()) fail("{}: metrics.jsonl has no step", dirs[i].string());
  }
  return runs;
}

// The validation first, of which the last column says on what; then the training.
Table table_of(const std::vector<Run>& runs) {
  Table table = {{"run", "nats per token", "bits per byte", "MaxVio", "lm loss, last 20", "tokens", "steps",
                  "time of steps", "tokens/s", "MFU", "validation"}};
  for (const Run& run : runs) {
    const StepMetrics& last = run.log.back();
    const Pace p = pace(run.log);
    const auto v = last_validation(run.log);
    table.push_back({run.name, v ? fmt::format("{:.4f}", v->figures.lm_loss) : "-",
                     v ? fmt::format("{:.4f}", v->figures.bits_per_byte) : "-",
                     v ? fmt::format("{:.3f}", v->figures.max_violation) : "-",
                     fmt::format("{:.4f}", recent_lm_loss(run.log)), short_number(static_cast<double>(last.tokens)),
                     std::to_string(last.step), duration(p.seconds), short_number(p.tokens_per_second),
                     fmt::format("{:.0f} %", 100 * p.share_of_peak),
                     v ? fmt::format("{}, step {}", v->figures.name, v->step) : "-"});
  }
  return table;
}

template <class F>
LinePlot step_plot(const std::vector<Run>& runs, const std::string& title, const std::string& unit, const F& value) {
  LinePlot plot{title, "tokens", unit, {}};
  for (const Run& run : runs) {
    Series s{run.name, {}, {}, true};
    for (const StepMetrics& m : run.log) {
      s.xs.push_back(static_cast<double>(m.tokens));
      s.ys.push_back(value(m));
    }
    plot.series.push_back(std::move(s));
  }
  return plot;
}

// Each run keeps its colour, whatever texts it was validated on.
void add_validations(report::HtmlReport& page, const std::vector<Run>& runs) {
  LinePlot plot{"Validation", "tokens", "bits per byte", {}};
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const auto groups = validations(runs[i].log, runs[i].before);
    for (const auto& group : groups) {
      Series s{fmt::format("{}, {}", runs[i].name, group.front().figures.name), {}, {}};
      for (const Validated& v : group) {
        s.xs.push_back(static_cast<double>(v.tokens));
        s.ys.push_back(v.figures.bits_per_byte);
      }
      s.colour = static_cast<int>(i);
      s.diamonds = group.front().figures.whole;
      s.dots = !s.diamonds;
      s.line = s.dots || groups.size() == 1;
      plot.series.push_back(std::move(s));
    }
  }
  if (!plot.series.empty()) page.plot(plot);
}

}  // namespace

std::vector<std::string> distinct_names(const std::vector<fs::path>& run_dirs) {
  std::vector<std::vector<fs::path>> parts;
  std::set<std::vector<fs::path>> seen;
  std::size_t longest = 1;
  for (const fs::path& dir : run_dirs) {
    parts.push_back(parts_of(dir));
    longest = std::max(longest, parts.back().size());
    if (!seen.insert(parts.back()).second) fail("{}: is given twice", dir.string());
  }
  std::vector<std::string> names;
  for (std::size_t length = 1; length <= longest; ++length) {
    names.clear();
    for (const auto& p : parts) names.push_back(end_of(p, length));
    if (std::set<std::string>(names.begin(), names.end()).size() == names.size()) break;
  }
  return names;
}

Table recipe_differences(const std::vector<std::string>& names, const std::vector<fs::path>& run_dirs) {
  Table table = {{"key of the recipe"}};
  table.front().insert(table.front().end(), names.begin(), names.end());
  std::vector<std::map<std::string, std::string>> values(run_dirs.size());
  std::vector<std::string> problems(run_dirs.size());
  std::vector<std::string> order;
  for (std::size_t i = 0; i < run_dirs.size(); ++i) {
    const fs::path path = run_dirs[i] / "recipe.toml";
    try {
      if (!fs::exists(path)) fail("no recipe.toml");
      Recipe recipe = load_recipe(path, {});
      const auto take = [&](const std::string& key, const std::string& value) {
        values[i][key] = value;
        if (std::find(order.begin(), order.end(), key) == order.end()) order.push_back(key);
      };
      for (const RecipeKey& key : keys(recipe)) take(std::string(key.name), value_text(key));
      for (const auto& [field, value] : recipe.model.fields) take("model." + field, field_text(value));
    } catch (const Error& e) {
      problems[i] = e.what();
    }
  }
  for (const std::string& key : order) {
    std::set<std::string> different;
    std::vector<std::string> row = {key};
    for (std::size_t i = 0; i < run_dirs.size(); ++i) {
      const auto value = values[i].find(key);  // a field of config.json may be set in some recipes only
      row.push_back(!problems[i].empty() ? "?" : value == values[i].end() ? "not set" : value->second);
      if (problems[i].empty()) different.insert(row.back());
    }
    if (different.size() > 1) table.push_back(row);
  }
  if (std::any_of(problems.begin(), problems.end(), [](const std::string& p) { return !p.empty(); })) {
    table.push_back({"(not compared)"});
    table.back().insert(table.back().end(), problems.begin(), problems.end());
  }
  return table;
}

Table run_table(const std::vector<std::string>& names, const std::vector<fs::path>& run_dirs) {
  return table_of(read(names, run_dirs));
}

void write_comparison(const fs::path& page, const std::vector<fs::path>& run_dirs) {
  const std::vector<std::string> names = distinct_names(run_dirs);
  const std::vector<Run> runs = read(names, run_dirs);
  report::HtmlReport r(fmt::format("{} hadal runs", runs.size()), "pre-training; written by hadal report");
  r.table(table_of(runs));
  r.heading("What differs in their recipes");
  const Table differences = recipe_differences(names, run_dirs);
  if (differences.size() > 1) {
    r.table(differences);
  } else {
    r.paragraph("Nothing: no key has two values.");
  }
  r.heading("Curves, over the tokens trained on");
  LinePlot loss =
      step_plot(runs, "Training: lm loss", "nats per token", [](const StepMetrics& m) { return m.lm_loss; });
  const bool smooth =
      std::any_of(runs.begin(), runs.end(), [](const Run& run) { return run.log.size() >= report::kMinSmooth; });
  loss.note = fmt::format("Of each step's batch{}. Only runs with one tokenizer can be compared.",
                          smooth ? "; a bold line is a running mean" : "");
  r.plot(loss);
  add_validations(r, runs);
  LinePlot norm =
      step_plot(runs, "Gradient norm |g|, before clipping", "", [](const StepMetrics& m) { return m.grad_norm; });
  norm.log_y = true;
  r.plot(norm);
  for (auto plot : {step_plot(runs, "Learning rate", "", [](const StepMetrics& m) { return m.lr; }),
                    step_plot(runs, "MaxVio of each step's batch, mean of the layers", "MaxVio",
                              [](const StepMetrics& m) { return mean_of(m.max_violation); }),
                    step_plot(runs, "Speed", "tokens/s", [](const StepMetrics& m) { return m.tokens_per_second; })}) {
    plot.from_zero = true;
    r.plot(plot);
  }
  r.glossary("What the words mean", report_words());
  r.write(page);
}

}  // namespace hadal::train
