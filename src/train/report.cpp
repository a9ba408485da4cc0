#include "train/report.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/report/html.h"
#include "model/accounting.h"
#include "train/checkpoint.h"
#include "train/report_words.h"
#include "train/run_figures.h"
#include "train/tensorboard.h"

namespace hadal::train {

namespace {

using report::Heatmap;
using report::LinePlot;
using report::Series;
using Log = StepLog;
using Validations = std::vector<std::vector<Validated>>;

constexpr std::size_t kMostCurves = 8;  // gates that are drawn as curves of their own
constexpr std::size_t kMostMaps = 12;   // gates whose loads are drawn; more are sampled evenly
constexpr std::size_t kMostColumns = 80;

template <class F>
Series series(const std::string& name, const Log& log, const F& value, bool smooth = false) {
  Series s{name, {}, {}, smooth};
  for (const StepMetrics& m : log) {
    s.xs.push_back(static_cast<double>(m.tokens));
    s.ys.push_back(value(m));
  }
  return s;
}

template <class F>
std::vector<Series> validation_series(const Validations& groups, const F& value) {
  std::vector<Series> all;
  for (const auto& group : groups) {
    Series s{group[0].figures.name, {}, {}};
    for (const Validated& v : group) {
      s.xs.push_back(static_cast<double>(v.tokens));
      s.ys.push_back(value(v.figures));
    }
    s.diamonds = group[0].figures.whole;
    s.dots = !s.diamonds;
    s.line = s.dots || groups.size() == 1;
    all.push_back(std::move(s));
  }
  return all;
}

void loss_plots(report::HtmlReport& r, const Log& log, const Validations& v) {
  LinePlot loss{"Training: lm loss",
                "tokens",
                "nats per token",
                {series(
                    "lm loss", log, [](const StepMetrics& m) { return m.lm_loss; }, true)}};
  for (std::size_t k = 0; k < log.back().mtp_loss.size(); ++k) {
    loss.series.push_back(series(
        fmt::format("MTP loss {}", k + 1), log,
        [k](const StepMetrics& m) { return k < m.mtp_loss.size() ? m.mtp_loss[k] : 0; }, true));
  }
  loss.note = log.size() < report::kMinSmooth
                  ? "Of each step's batch."
                  : "Of each step's batch; the bold line is a running mean over a fiftieth of the run.";
  r.plot(loss);
  if (!v.empty()) {
    LinePlot p{"Validation", "tokens", "bits per byte",
               validation_series(v, [](const Validation& f) { return f.bits_per_byte; })};
    if (p.series.size() > 1) p.note = "Diamonds: the whole text; dots: its first rows.";
    r.plot(p);
  }
  r.plot({"Gradient norm |g|, before clipping",
          "tokens",
          "",
          {series(
              "|g|", log, [](const StepMetrics& m) { return m.grad_norm; }, true)},
          true});
  LinePlot rates{"Learning rate", "tokens", "", {series("rate", log, [](const StepMetrics& m) { return m.lr; })}};
  rates.from_zero = true;
  r.plot(rates);
  LinePlot speed{"Speed",
                 "tokens",
                 "tokens/s",
                 {series(
                     "tokens/s", log, [](const StepMetrics& m) { return m.tokens_per_second; }, true)}};
  speed.from_zero = true;
  r.plot(speed);
  LinePlot peak{"MFU",
                "tokens",
                "% of the peak",
                {series(
                    "MFU", log, [](const StepMetrics& m) { return 100 * m.share_of_peak; }, true)}};
  peak.from_zero = true;
  peak.note =
      "Model FLOPs per second over the best rate of this machine's floating-point instructions, measured as the run "
      "started.";
  r.plot(peak);
  if (v.empty() || v.back().back().figures.mtp_acceptance.empty()) return;
  LinePlot p{"MTP acceptance, validation", "tokens", "% of guesses", {}};
  for (std::size_t k = 0; k < v.back().back().figures.mtp_acceptance.size(); ++k) {
    for (Series& s : validation_series(
             v, [k](const Validation& f) { return k < f.mtp_acceptance.size() ? 100 * f.mtp_acceptance[k] : 0; })) {
      s.name = fmt::format("module {}, {}", k + 1, s.name);
      p.series.push_back(std::move(s));
    }
  }
  p.note = "Teacher-forced: how often the module's greedy guess is what the model itself chooses there.";
  r.plot(p);
}

// Value of each row over time, steps averaged into columns.
template <class F>
Heatmap over_time(const Log& log, std::size_t rows, const F& add) {
  const std::size_t columns = std::min(kMostColumns, log.size());
  Heatmap map;
  map.x_label = "tokens";
  map.values.assign(rows, std::vector<double>(columns, 0.0));
  map.x_first = static_cast<double>(log.front().tokens);
  map.x_last = static_cast<double>(log.back().tokens);
  for (std::size_t c = 0; c < columns; ++c) {
    std::vector<double> sum(rows, 0.0);
    const std::size_t first = c * log.size() / columns, last = (c + 1) * log.size() / columns;
    for (std::size_t i = first; i < last; ++i) add(log[i], sum);
    for (std::size_t r = 0; r < rows; ++r) map.values[r][c] = sum[r] / static_cast<double>(last - first);
  }
  return map;
}

// Loads of a gate's experts over time as multiples of the mean.
Heatmap load_map(const Log& log, std::size_t gate, const std::string& title) {
  const std::size_t experts = log.back().loads_LE[gate].size();
  Heatmap map = over_time(log, experts, [&](const StepMetrics& m, std::vector<double>& sum) {
    for (std::size_t e = 0; e < experts; ++e) sum[e] += static_cast<double>(m.loads_LE[gate][e]);
  });
  for (std::size_t c = 0; c < map.values[0].size(); ++c) {
    double mean = 0;
    for (std::size_t e = 0; e < experts; ++e) mean += map.values[e][c] / static_cast<double>(experts);
    for (std::size_t e = 0; e < experts; ++e) map.values[e][c] = mean > 0 ? map.values[e][c] / mean : 0;
  }
  map.title = title;
  map.y_label = "expert";
  return map;
}

void violation_plots(report::HtmlReport& r, const Log& log, const Validations& v,
                     const std::vector<std::string>& names) {
  const std::size_t gates = log.back().max_violation.size();
  const auto of_gate = [](std::size_t g) {
    return [g](const StepMetrics& m) { return g < m.max_violation.size() ? m.max_violation[g] : 0; };
  };
  if (gates <= kMostCurves) {
    LinePlot p{"MaxVio of each step's batch, by layer", "tokens", "MaxVio", {}};
    for (std::size_t g = 0; g < gates; ++g) p.series.push_back(series(names.at(g), log, of_gate(g), true));
    p.from_zero = true;
    r.plot(p);
  } else {
    Heatmap map = over_time(log, gates, [&](const StepMetrics& m, std::vector<double>& sum) {
      for (std::size_t g = 0; g < gates; ++g) sum[g] += of_gate(g)(m);
    });
    map.title = "MaxVio of each step's batch, by layer";
    map.y_label = "layer";
    map.rows.assign(names.begin(), names.end());
    map.scale = Heatmap::Scale::level;
    r.heatmap(map);
  }
  if (v.empty()) return;
  LinePlot p{"MaxVio of the validation, mean of the layers", "tokens", "MaxVio",
             validation_series(v, [](const Validation& f) { return f.max_violation; })};
  p.from_zero = true;
  r.plot(p);
}

void balance_plots(report::HtmlReport& r, const Log& log, const Validations& v, const model::Config& c) {
  if (log.back().max_violation.empty()) return;
  const std::vector<std::string> names = gate_names(c);
  r.heading("Balance of the experts");
  r.paragraph(
      "MaxVio = (tokens of the busiest expert - mean) / mean: 0 is perfect balance, 1 means that one expert gets twice "
      "its "
      "share.");
  violation_plots(r, log, v, names);
  const std::size_t gates = log.back().loads_LE.size(), shown = std::min(gates, kMostMaps);
  r.heading(shown < gates ? fmt::format("Tokens per expert over time ({} of {} layers)", shown, gates)
                          : "Tokens per expert over time, as multiples of the mean");
  for (std::size_t i = 0; i < shown; ++i) {
    const std::size_t g = shown < 2 ? 0 : i * (gates - 1) / (shown - 1);
    r.heatmap(load_map(log, g, names.at(g)));
  }
}

void run_facts(report::HtmlReport& r, const Log& log, const model::Config& c) {
  const model::Accounting a = model::account(c, 1);
  std::vector<report::HtmlReport::Fact> facts = {
      {"parameters", short_number(static_cast<double>(a.parameters))},
      {"active per token", short_number(static_cast<double>(a.active_head_only))}};
  if (a.mtp_parameters > 0) facts.push_back({"in MTP modules", short_number(static_cast<double>(a.mtp_parameters))});
  if (!log.empty()) {
    const StepMetrics& last = log.back();
    const Pace p = pace(log);
    facts.push_back({fmt::format("tokens of {}", short_number(static_cast<double>(last.total_tokens))),
                     short_number(static_cast<double>(last.tokens))});
    facts.push_back({"steps", std::to_string(last.step)});
    facts.push_back({"time of the steps", duration(p.seconds), meaning_of("tokens/s")});
    facts.push_back({"tokens/s, mean of the run", short_number(p.tokens_per_second), meaning_of("tokens/s")});
    facts.push_back({"peak memory", fmt::format("{:.2f} GiB", last.memory_gib)});
    facts.push_back({"MFU, mean of the run", fmt::format("{:.0f} %", 100 * p.share_of_peak), meaning_of("MFU")});
    if (const auto v = last_validation(log)) {
      const auto add = [&](const std::string& what, const std::string& value, const std::string& word) {
        facts.push_back(
            {"validation: " + what, value, fmt::format("{}, step {}: {}", v->figures.name, v->step, meaning_of(word))});
      };
      add("nats per token", fmt::format("{:.4f}", v->figures.lm_loss), "lm loss");
      add("bits per byte", fmt::format("{:.4f}", v->figures.bits_per_byte), "bits per byte");
      add("MaxVio", fmt::format("{:.3f}", v->figures.max_violation), "MaxVio");
    }
    for (const auto& [cause, steps] : skipped_steps(log))
      facts.push_back({(steps == 1 ? "step skipped: " : "steps skipped: ") + cause, std::to_string(steps)});
  }
  r.facts(facts);
}

// The first, best and last figures of each text: nats and bits side by side.
void validation_table(report::HtmlReport& r, const Validations& groups) {
  if (groups.empty()) return;
  report::Table table = {{"validation", "when", "step", "tokens", "rows", "nats per token", "bits per byte", "MaxVio"}};
  const std::size_t modules = groups.back().back().figures.mtp_acceptance.size();
  for (std::size_t k = 0; k < modules; ++k) table[0].push_back(fmt::format("MTP {} acceptance", k + 1));
  const auto add = [&](const Validated& v, const std::string& which) {
    const Validation& f = v.figures;
    table.push_back({f.name, which, std::to_string(v.step), short_number(static_cast<double>(v.tokens)),
                     f.rows > 0 ? std::to_string(f.rows) : "?", fmt::format("{:.4f}", f.lm_loss),
                     fmt::format("{:.4f}", f.bits_per_byte), fmt::format("{:.3f}", f.max_violation)});
    for (const double a : f.mtp_acceptance) table.back().push_back(fmt::format("{:.1f} %", 100 * a));
  };
  for (const auto& group : groups) {
    const auto best = std::min_element(group.begin(), group.end(), [](const Validated& a, const Validated& b) {
      return a.figures.bits_per_byte < b.figures.bits_per_byte;
    });
    add(group.front(), group.front().step == 0 ? "before training" : "first");
    if (best != group.begin() && best + 1 != group.end()) add(*best, "best");
    if (group.size() > 1) add(group.back(), best + 1 == group.end() ? "last and best" : "last");
  }
  r.table(table);
}

void sample_part(report::HtmlReport& r, const Sample& sample) {
  r.heading("A sample of its text");
  r.paragraph(sample.how);
  r.quote(sample.prompt, sample.text);
}

// The figures are of this model: what is drawn relies on it.
void check_gates(const Log& log, const model::Config& c, const fs::path& run_dir) {
  const std::size_t want = gate_names(c).size(), have = log.back().loads_LE.size();
  if (have != want || log.back().max_violation.size() != want)
    fail("{}: has figures of {} layers with experts, the model has {}", (run_dir / "metrics.jsonl").string(), have,
         want);
}

void setting_table(report::HtmlReport& r, const model::Config& c, const fs::path& run_dir) {
  const fs::path path = run_dir / "recipe.toml";
  if (!fs::exists(path)) return;
  Recipe recipe;
  try {
    recipe = load_recipe(path, {});
  } catch (const Error& e) {  // written by another version of the program: the curves are worth having all the same
    r.paragraph(fmt::format("The settings are not shown: {}", e.what()));
    r.folded("the recipe as it is", read_whole_file(path));
    return;
  }
  std::vector<std::vector<std::string>> table = {{"setting", "value"}};
  const auto row = [&](const std::string& name, const std::string& value) { table.push_back({name, value}); };
  row("model", fmt::format("{} layers x {}, {} heads, vocabulary {}", c.num_hidden_layers, c.hidden_size,
                           c.num_attention_heads, c.vocab_size));
  if (c.n_routed_experts > 0)
    row("experts", fmt::format("{} routed, {} per token, {} shared", c.n_routed_experts, c.num_experts_per_tok,
                               c.n_shared_experts));
  row("compute type", recipe.model.dtype);
  row("batch", fmt::format("{} rows x {} tokens", recipe.train.rows, recipe.data.sequence_length));
  row("learning rate", fmt::format("{} to {}", recipe.lr.peak, recipe.lr.final));
  row("balance", fmt::format("gamma {}, alpha {}", recipe.balance.gamma, recipe.balance.alpha));
  if (c.num_nextn_predict_layers > 0)
    row("MTP", fmt::format("modules: {}, lambda {} to {}", c.num_nextn_predict_layers, recipe.mtp.lambda,
                           recipe.mtp.lambda_final));
  row("seeds", fmt::format("model {}, data {}", recipe.model.seed, recipe.data.seed));
  const std::vector<std::int64_t> steps = list_checkpoints(run_dir);
  if (!steps.empty()) {
    const TrainerState state = read_state(checkpoint_dir(run_dir, steps.back()));
    row("program", fmt::format("{}, {}", state.build, state.isa));
  }
  r.table(table);
  r.folded("the whole recipe", to_toml(recipe));
}

// A run folder is often called "run": the folder around it says more.
std::string run_name(const fs::path& run_dir) {
  const fs::path whole = fs::absolute(run_dir).lexically_normal();
  const fs::path dir = whole.has_filename() ? whole : whole.parent_path();
  return (dir.parent_path().filename() / dir.filename()).string();
}

}  // namespace

void write_report(const std::filesystem::path& run_dir, const model::Config& c, const std::optional<Sample>& sample) {
  const Log log = read_metrics(run_dir / "metrics.jsonl");
  report::HtmlReport r("hadal run " + run_name(run_dir), "pre-training; written by hadal report");
  run_facts(r, log, c);
  const Validations v = validations(log, read_before(run_dir));
  validation_table(r, v);
  setting_table(r, c, run_dir);
  if (sample) sample_part(r, *sample);
  if (!log.empty()) {
    check_gates(log, c, run_dir);
    r.heading("Training");
    loss_plots(r, log, v);
    balance_plots(r, log, v, c);
  }
  r.glossary("What the words mean", report_words());
  r.write(run_dir / "report.html");
}

}  // namespace hadal::train
