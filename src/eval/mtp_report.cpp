#include "base/report/html.h"
#include "eval/curves.h"
#include "eval/mtp.h"

namespace hadal::eval {

namespace {

using report::LinePlot;
using report::Series;

Series position_series(const std::string& name, const std::vector<PositionRange>& ranges) {
  Series s{name, {}, {}};
  s.dots = true;
  for (const PositionRange& r : ranges) {
    s.xs.push_back(static_cast<double>(r.last));
    s.ys.push_back(r.loss);
  }
  return s;
}

void position_plots(report::HtmlReport& page, const std::vector<RunResult>& runs) {
  LinePlot loss{
      "Held-out loss by position in the row, first seed", "position (end of the range)", "nats per token", {}};
  for (std::size_t i = 0; i < 3; ++i)
    loss.series.push_back(position_series(runs[i].plan.variant, loss_by_position(runs[i].total())));
  LinePlot gain{"Loss with MTP less the loss without it, mean of the seeds",
                "position (end of the range)",
                "nats per token",
                {position_series("same data", gain_by_position(runs, "plain")),
                 position_series("same compute", gain_by_position(runs, "plain-more"))}};
  gain.note = "Below zero MTP is better. Ranges double: 1, 2, 3 to 4, 5 to 8 ...";
  loss.log_x = gain.log_x = true;
  page.plot(loss);
  page.plot(gain);
  page.table(position_table(runs));
}

void acceptance_part(report::HtmlReport& page, const std::vector<RunResult>& runs) {
  const RunResult& first = runs.front();
  std::vector<std::vector<std::string>> table = {{"first seed, kind of text"}};
  const std::size_t modules = first.total().drafts.size();
  for (std::size_t k = 0; k < modules; ++k) table[0].push_back(fmt::format("depth {}", k + 1));
  for (const KindResult& kind : first.kinds) {
    table.push_back({kind.name});
    for (std::size_t k = 0; k < modules; ++k)
      table.back().push_back(fmt::format("{:.1f} %", 100 * kind.evaluation.acceptance(k)));
  }
  page.table(table);
  LinePlot plot{"Accepted by depth", "depth", "% of guesses", {}};
  for (const MtpVerdict& v : judge_mtp(runs)) {
    Series s{fmt::format("seed {}", v.seed), {}, {}};
    s.dots = true;
    for (std::size_t k = 0; k < v.acceptance.size(); ++k) {
      s.xs.push_back(static_cast<double>(k + 1));
      s.ys.push_back(100 * v.acceptance[k]);
    }
    plot.series.push_back(s);
  }
  plot.from_zero = plot.whole_x = true;
  page.plot(plot);
}

}  // namespace

void write_mtp_report(const std::filesystem::path& path, const std::vector<RunResult>& runs,
                      const model::Config& config, const std::string& source) {
  report::HtmlReport page("Multi-token prediction: with and without", source);
  model_facts(page, runs.front(), config);
  page.paragraph(
      "For each seed the same model is trained three times: mtp has MTP modules; plain has none and sees the same "
      "tokens; "
      "plain-more has none and sees as many tokens as take the compute of mtp. Weights of the trunk and order of the "
      "data "
      "are the same to begin with. The modules are not used in the held-out loss.");
  page.table(mtp_verdict_table(judge_mtp(runs)));
  page.heading("Where in the row");
  position_plots(page, runs);
  page.heading("Acceptance");
  page.paragraph(
      "Teacher-forced: how often the greedy guess of the module at this depth is what the model itself chooses there, "
      "given the true tokens before it.");
  acceptance_part(page, runs);
  page.heading("Training");
  page.plot(loss_curves({&runs[0], &runs[1], &runs[2]}));
  page.heading("All runs");
  page.table(mtp_table(runs));
  text_table(page, runs.front());
  recipe_of(page, runs.front());
  page.write(path);
}

}  // namespace hadal::eval
