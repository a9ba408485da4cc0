#include "train/report.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/progress.h"
#include "base/report/html.h"
#include "model/accounting.h"
#include "train/metrics.h"
#include "train/tensorboard.h"

namespace hadal::train {

namespace {

using report::Heatmap;
using report::LinePlot;
using report::Series;
using Log = std::vector<StepMetrics>;

template <class F>
Series series(const std::string& name, const Log& log, const F& value) {
  Series s{name, {}, {}};
  for (const StepMetrics& m : log) {
    s.xs.push_back(static_cast<double>(m.tokens));
    s.ys.push_back(value(m));
  }
  return s;
}

Log validations(const Log& log) {
  Log v;
  for (const StepMetrics& m : log) {
    if (m.validated) v.push_back(m);
  }
  return v;
}

void loss_plots(report::HtmlReport& r, const Log& log) {
  LinePlot loss{"Loss", "tokens", "nats a token", {series("main", log, [](const StepMetrics& m) { return m.main; })}};
  for (std::size_t k = 0; !log.empty() && k < log.back().mtp.size(); ++k) {
    loss.series.push_back(series(fmt::format("MTP {}", k + 1), log,
                                 [k](const StepMetrics& m) { return k < m.mtp.size() ? m.mtp[k] : 0; }));
  }
  r.plot(loss);
  const Log v = validations(log);
  if (!v.empty())
    r.plot({"Held-out text", "tokens", "bits per byte", {series("bits per byte", v, [](const StepMetrics& m) {
              return m.heldout_bits_per_byte;
            })}});
  r.plot({"Gradient norm",
          "tokens",
          "before clipping",
          {series("norm", log, [](const StepMetrics& m) { return m.grad_norm; })},
          true});
  r.plot({"Learning rate", "tokens", "rate", {series("rate", log, [](const StepMetrics& m) { return m.lr; })}});
  r.plot({"Speed", "tokens", "tokens/s", {series("tokens/s", log, [](const StepMetrics& m) {
            return m.tokens_per_second;
          })}});
  r.plot({"Share of the GEMM peak", "tokens", "share", {series("share", log, [](const StepMetrics& m) {
            return m.share_of_peak;
          })}});
  if (!v.empty() && !v.back().mtp_acceptance.empty()) {
    LinePlot p{"MTP acceptance, teacher-forced", "tokens", "share of guesses", {}};
    for (std::size_t k = 0; k < v.back().mtp_acceptance.size(); ++k) {
      p.series.push_back(series(fmt::format("module {}", k + 1), v, [k](const StepMetrics& m) {
        return k < m.mtp_acceptance.size() ? m.mtp_acceptance[k] : 0;
      }));
    }
    r.plot(p);
  }
}

// Loads of a layer's experts over time as multiples of the mean, steps averaged into at most 80 columns.
Heatmap load_map(const Log& log, std::size_t layer, const std::string& title) {
  const std::size_t columns = std::min<std::size_t>(80, log.size()), experts = log.back().loads_LE[layer].size();
  Heatmap map{title,
              "tokens",
              "expert",
              std::vector<std::vector<double>>(experts, std::vector<double>(columns, 0.0)),
              static_cast<double>(log.front().tokens),
              static_cast<double>(log.back().tokens),
              1.0};
  for (std::size_t c = 0; c < columns; ++c) {
    std::vector<double> sum(experts, 0.0);
    for (std::size_t i = c * log.size() / columns; i < (c + 1) * log.size() / columns; ++i) {
      for (std::size_t e = 0; e < experts; ++e) sum[e] += static_cast<double>(log[i].loads_LE[layer][e]);
    }
    const double mean = std::accumulate(sum.begin(), sum.end(), 0.0) / static_cast<double>(experts);
    for (std::size_t e = 0; e < experts; ++e) map.values[e][c] = mean > 0 ? sum[e] / mean : 0;
  }
  return map;
}

void balance_plots(report::HtmlReport& r, const Log& log, const model::Config& c) {
  if (log.empty() || log.back().max_violation.empty()) return;
  r.heading("Balance of the experts");
  const std::vector<std::string> names = gate_names(c);
  LinePlot p{"MaxVio of each step's batch, by layer", "tokens", "MaxVio", {}};
  for (std::size_t l = 0; l < log.back().max_violation.size(); ++l) {
    p.series.push_back(series(
        names.at(l), log, [l](const StepMetrics& m) { return l < m.max_violation.size() ? m.max_violation[l] : 0; }));
  }
  r.plot(p);
  const Log v = validations(log);
  if (!v.empty())
    r.plot({"MaxVio over the held-out text, mean of the layers",
            "tokens",
            "MaxVio",
            {series("held-out", v, [](const StepMetrics& m) { return m.heldout_max_violation; })}});
  r.heading("Expert loads over time, as multiples of the mean");
  for (std::size_t l = 0; l < log.back().loads_LE.size(); ++l) r.heatmap(load_map(log, l, names.at(l)));
}

}  // namespace

void write_report(const std::filesystem::path& run_dir, const model::Config& c) {
  const Log log = read_metrics(run_dir / "metrics.jsonl");
  report::HtmlReport r("hadal run " + run_dir.filename().string());
  const model::Accounting a = model::account(c, 1);
  std::vector<std::vector<std::string>> table = {
      {"", ""},
      {"parameters", short_number(static_cast<double>(a.parameters))},
      {"in MTP modules", short_number(static_cast<double>(a.mtp_parameters))}};
  table.push_back({"active a token (head only)", short_number(static_cast<double>(a.active_head_only))});
  if (!log.empty()) {
    double seconds = 0;
    for (const StepMetrics& m : log) seconds += m.seconds;
    table.push_back({"steps", std::to_string(log.back().step)});
    table.push_back({"tokens", short_number(static_cast<double>(log.back().tokens))});
    table.push_back({"time", duration(seconds)});
    table.push_back({"tokens/s", short_number(static_cast<double>(
                                                  log.back().tokens -
                                                  (log.front().tokens -
                                                   log.front().tokens / std::max<std::int64_t>(1, log.front().step))) /
                                              std::max(1e-9, seconds))});
    table.push_back({"peak memory", fmt::format("{:.2f} GiB", log.back().memory_gib)});
    const Log v = validations(log);
    if (!v.empty()) table.push_back({"held-out bits per byte", fmt::format("{:.4f}", v.back().heldout_bits_per_byte)});
  }
  r.table(table);
  r.heading("Training");
  loss_plots(r, log);
  balance_plots(r, log, c);
  r.write(run_dir / "report.html");
}

}  // namespace hadal::train
