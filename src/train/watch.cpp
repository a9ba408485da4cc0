#include "train/watch.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>

#include "base/error.h"
#include "base/progress.h"
#include "base/report/text_plot.h"
#include "train/run_figures.h"

namespace hadal::train {

namespace {

using Steps = StepLog;
using report::Mark;

template <class F>
std::vector<double> values(const Steps& steps, const F& value) {
  std::vector<double> v;
  for (const StepMetrics& m : steps) v.push_back(value(m));
  return v;
}

double share_done(const StepMetrics& m) {
  return m.total_tokens > 0 ? std::min(1.0, static_cast<double>(m.tokens) / static_cast<double>(m.total_tokens)) : 0;
}

std::string tokens_text(std::int64_t n) { return short_number(static_cast<double>(n)); }

std::string losses(const Steps& steps) {
  const StepMetrics& m = steps.back();
  std::string text = fmt::format("lm loss {:.4f}", m.lm_loss);
  if (steps.size() > 1)
    text += fmt::format(" (mean of {}: {:.4f})", std::min(kRecentSteps, steps.size()), recent_lm_loss(steps));
  for (std::size_t k = 0; k < m.mtp_loss.size(); ++k)
    text += fmt::format("  MTP loss{} {:.4f}", m.mtp_loss.size() > 1 ? fmt::format(" {}", k + 1) : "", m.mtp_loss[k]);
  return text + (m.skipped.empty() ? "" : fmt::format("  step skipped: {}", m.skipped));
}

std::string gate_name(const View& view, std::size_t gate) {
  return gate < view.gates.size() ? view.gates[gate] : fmt::format("gate {}", gate + 1);
}

// A figure with what it was over the run.
struct Spark {
  std::string name, value;
  std::vector<double> history;
};

std::string spark_line(const Spark& s, std::size_t width) {
  const std::string head = fmt::format("  {:<16} {:>8}  ", s.name, s.value);
  const std::size_t used = report::shown_width(head);
  return head + report::sparkline(s.history, width - std::min(width, used));
}

// One below the other, in two columns where there is room.
std::size_t spark_columns(const View& view) { return view.width >= 120 ? 2 : 1; }
std::size_t spark_rows(std::size_t sparks, const View& view) {
  return (sparks + spark_columns(view) - 1) / spark_columns(view);
}
void add_sparks(std::vector<std::string>& lines, const std::vector<Spark>& sparks, const View& view) {
  const std::size_t columns = spark_columns(view), rows = spark_rows(sparks.size(), view), width = view.width / columns;
  for (std::size_t row = 0; row < rows; ++row) {
    std::string line;
    for (std::size_t i = row; i < sparks.size(); i += rows) {
      line += std::string(i / rows * width - std::min(i / rows * width, report::shown_width(line)), ' ');
      line += spark_line(sparks[i], width);
    }
    lines.push_back(line);
  }
}

std::vector<Spark> step_sparks(const Steps& steps) {
  const StepMetrics& m = steps.back();
  const Pace recent = pace(steps, kRecentSteps);
  return {{"learning rate", fmt::format("{:.2e}", m.lr), values(steps, [](const StepMetrics& s) { return s.lr; })},
          {"|g|", fmt::format("{:.3f}", m.grad_norm), values(steps, [](const StepMetrics& s) { return s.grad_norm; })},
          {"tokens/s, mean", short_number(recent.tokens_per_second),
           values(steps, [](const StepMetrics& s) { return s.tokens_per_second; })},
          {"MFU, mean", fmt::format("{:.0f} %", 100 * recent.share_of_peak),
           values(steps, [](const StepMetrics& s) { return s.share_of_peak; })}};
}

std::vector<Spark> violation_sparks(const Steps& steps, const View& view) {
  std::vector<Spark> sparks;
  const std::vector<double>& now = steps.back().max_violation;
  for (std::size_t g = 0; g < now.size(); ++g) {
    sparks.push_back(
        {"MaxVio " + gate_name(view, g), fmt::format("{:.3f}", now[g]),
         values(steps, [g](const StepMetrics& m) { return g < m.max_violation.size() ? m.max_violation[g] : 0; })});
  }
  return sparks;
}

// All layers in a line: one character each.
std::string violations_line(const Steps& steps, const View& view) {
  const std::vector<double>& now = steps.back().max_violation;
  const auto worst = std::max_element(now.begin(), now.end());
  return fmt::format("  MaxVio by layer  {}  mean {:.3f}, worst {:.3f} ({})", report::sparkline(now, view.width / 2),
                     mean_of(now), *worst, gate_name(view, static_cast<std::size_t>(worst - now.begin())));
}

std::vector<std::string> validation_lines(const Steps& steps) {
  std::vector<std::string> lines;
  for (const auto& group : validations(steps, {})) {
    const Validated& last = group.back();
    const Validation& v = last.figures;
    std::string line = fmt::format("  validation: {:.4f} nats/token, {:.4f} bits/byte, {}, step {}", v.lm_loss,
                                   v.bits_per_byte, v.name, last.step);
    for (std::size_t k = 0; k < v.mtp_acceptance.size(); ++k)
      line += fmt::format(", MTP {}: {:.1f} %", k + 1, 100 * v.mtp_acceptance[k]);
    line += fmt::format(", MaxVio {:.3f}", v.max_violation);
    lines.push_back(line);
  }
  if (lines.empty()) lines.emplace_back("  validation: none yet");
  return lines;
}

std::string state_of(const Steps& steps, double age) {
  if (finished(steps)) return "finished";
  // A step can take its time, and so can a validation: only a long silence is worth a word.
  const double usual = steps.back().seconds;
  if (age > 60 + 10 * usual) return fmt::format("no step for {}: stopped?", duration(age));
  return "ETA " + duration(seconds_left(steps));
}

std::string progress_of(const Steps& steps, const View& view, double age) {
  const StepMetrics& m = steps.back();
  const double done = share_done(m);
  return fmt::format("  {}{:.0f} %  {}  step {}, {} of {} tokens",
                     view.width < 70 ? "" : report::bar(done, std::min<std::size_t>(40, view.width / 5)) + " ",
                     std::floor(100 * done), state_of(steps, age), m.step, tokens_text(m.tokens),
                     tokens_text(m.total_tokens));
}

report::Curve loss_curve(const std::string& name, const Steps& steps) {
  return {name, values(steps, [](const StepMetrics& s) { return static_cast<double>(s.tokens); }),
          values(steps, [](const StepMetrics& s) { return s.lm_loss; })};
}

constexpr std::size_t kMinPlot = 6, kMaxPlot = 24;  // lines of the plot, with its axis

void add_plot(std::vector<std::string>& lines, const std::vector<report::Curve>& curves, const View& view,
              std::size_t others, Mark mark) {
  const std::size_t used = lines.size() + others + 1;
  const std::size_t height = std::clamp(view.height > used ? view.height - used : 0, kMinPlot,
                                        std::max(kMinPlot, std::min(kMaxPlot, view.width / 4)));
  lines.push_back("  lm loss (nats/token) over tokens");
  for (const std::string& line : report::curve_plot(curves, view.width, height, mark)) lines.push_back(line);
}

std::vector<std::string> fitted(std::vector<std::string> lines, const View& view) {
  if (lines.size() > view.height) lines.resize(view.height);
  for (std::string& line : lines) line = report::cut_to_width(line, view.width);
  return lines;
}

using Clock = std::chrono::steady_clock;

// By the clock of the day; a date in the future is now.
std::chrono::duration<double> age_of(const timespec& date) {
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const double then = static_cast<double>(date.tv_sec) + 1e-9 * static_cast<double>(date.tv_nsec);
  return std::chrono::duration<double>(std::max(0.0, now - then));
}

}  // namespace

bool MetricsFollower::poll() {
  struct stat info {};
  if (::stat(path_.c_str(), &info) != 0) {
    const bool had = !steps_.empty();
    steps_.clear();
    reader_ = MetricsReader(path_.string());
    inode_ = read_ = 0;
    changed_.reset();
    return had;
  }
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (info.st_ino != inode_ || size < read_) {
    steps_.clear();
    read_ = 0;
    reader_ = MetricsReader(path_.string());
    inode_ = info.st_ino;
  }
  if (size == read_) return false;
  std::ifstream file(path_, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(read_));
  std::string text(size - read_, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file) return false;            // cut back between the two looks: the next one starts anew
  text.resize(text.rfind('\n') + 1);  // the rest is still being written (npos + 1 is 0)
  const Steps more = reader_.lines(text);
  steps_.insert(steps_.end(), more.begin(), more.end());
  read_ += text.size();
  if (more.empty()) return false;
  changed_ = Clock::now() - std::chrono::duration_cast<Clock::duration>(changed_ ? std::chrono::duration<double>(0)
                                                                                 : age_of(info.st_mtim));
  return true;
}

double MetricsFollower::seconds_since_last() const {
  return changed_ ? std::chrono::duration<double>(Clock::now() - *changed_).count() : 0;
}

bool finished(const Steps& steps) {
  return !steps.empty() && steps.back().total_tokens > 0 && steps.back().tokens >= steps.back().total_tokens;
}

double seconds_left(const Steps& steps) {
  const double speed = pace(steps, kRecentSteps).tokens_per_second;
  if (speed <= 0 || finished(steps)) return 0;
  return static_cast<double>(steps.back().total_tokens - steps.back().tokens) / speed;
}

std::vector<std::string> draw_frame(const Steps& steps, const View& view, double age) {
  std::vector<std::string> lines = {report::shortened(view.title, view.width)};
  if (steps.empty()) {
    lines.emplace_back("  no step yet: waiting for metrics.jsonl");
    return fitted(lines, view);
  }
  lines.push_back(progress_of(steps, view, age));
  lines.push_back("  " + losses(steps));
  std::vector<Spark> sparks = step_sparks(steps);
  const std::vector<Spark> balance = violation_sparks(steps, view);
  const std::vector<std::string> validated = validation_lines(steps);
  // A line per layer where there is room for it beside a plot of a size that can be read.
  constexpr std::size_t kGoodPlot = 10;
  const std::size_t with_layers =
      lines.size() + 1 + kGoodPlot + spark_rows(sparks.size() + balance.size(), view) + validated.size();
  const bool layers = with_layers <= view.height;
  if (layers) sparks.insert(sparks.end(), balance.begin(), balance.end());
  const std::size_t others = spark_rows(sparks.size(), view) + validated.size() + (layers || balance.empty() ? 0 : 1);
  add_plot(lines, {loss_curve("", steps)}, view, others, Mark::dots);
  add_sparks(lines, sparks, view);
  if (!layers && !balance.empty()) lines.push_back(violations_line(steps, view));
  lines.insert(lines.end(), validated.begin(), validated.end());
  return fitted(lines, view);
}

std::vector<std::string> draw_comparison(const std::vector<RunView>& runs, const report::Table& differences,
                                         const View& view) {
  const Mark mark = view.colour ? Mark::colours : Mark::letters;
  std::vector<std::string> lines;
  std::vector<report::Curve> curves;
  report::Table table = {{"", "run", "done", "lm loss", "mean", "tokens/s", "MFU", "bits/byte", ""}};
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const Steps& steps = *runs[i].steps;
    curves.push_back(loss_curve(runs[i].name, steps));
    const std::string key(1, static_cast<char>('a' + i % 26));
    if (steps.empty()) {
      table.push_back({key, runs[i].name, "-", "-", "-", "-", "-", "-", "no step yet"});
      continue;
    }
    const Pace recent = pace(steps, kRecentSteps);
    const auto v = last_validation(steps);
    table.push_back({key, runs[i].name, fmt::format("{:.0f} %", std::floor(100 * share_done(steps.back()))),
                     fmt::format("{:.4f}", steps.back().lm_loss), fmt::format("{:.4f}", recent_lm_loss(steps)),
                     short_number(recent.tokens_per_second), fmt::format("{:.0f} %", 100 * recent.share_of_peak),
                     v ? fmt::format("{:.4f}", v->figures.bits_per_byte) : "-", state_of(steps, runs[i].age)});
  }
  std::vector<std::string> legend = report::text_table(table, view.width);
  for (std::size_t i = 0; i < runs.size() && view.colour; ++i) legend[i + 1].replace(0, 1, report::curve_key(i, mark));
  const std::vector<std::string> recipes = differences.size() > 1
                                               ? report::text_table(differences, view.width)
                                               : std::vector<std::string>{"no key of the recipes differs"};
  const std::size_t room = view.height > legend.size() + kMinPlot + 8 ? view.height - legend.size() - kMinPlot - 8 : 1;
  const std::size_t shown = std::min(recipes.size(), room);
  add_plot(lines, curves, view, legend.size() + shown + (shown < recipes.size() ? 1 : 0), mark);
  lines.insert(lines.end(), legend.begin(), legend.end());
  lines.insert(lines.end(), recipes.begin(), recipes.begin() + static_cast<std::ptrdiff_t>(shown));
  if (shown < recipes.size())
    lines.push_back(fmt::format("... and {} more: hadal report RUN RUN shows all", recipes.size() - shown));
  return fitted(lines, view);
}

std::string draw_line(const Steps& steps) {
  if (steps.empty()) return "no step yet: waiting for metrics.jsonl";
  const StepMetrics& m = steps.back();
  const Pace recent = pace(steps, kRecentSteps);
  std::string line = fmt::format("step {}  {:.0f} %  {}  lr {:.2e}  |g| {:.3f}  {} tokens/s  MFU {:.0f} %", m.step,
                                 std::floor(100 * share_done(m)), losses(steps), m.lr, m.grad_norm,
                                 short_number(recent.tokens_per_second), 100 * recent.share_of_peak);
  if (!m.max_violation.empty()) {
    line += fmt::format("  MaxVio {:.3f} (worst {:.3f})", mean_of(m.max_violation),
                        *std::max_element(m.max_violation.begin(), m.max_violation.end()));
  }
  if (const auto v = last_validation(steps))
    line += fmt::format("  validation {:.4f} nats/token {:.4f} bits/byte ({})", v->figures.lm_loss,
                        v->figures.bits_per_byte, v->figures.name);
  return line + (finished(steps) ? "  finished" : "  ETA " + duration(seconds_left(steps)));
}

}  // namespace hadal::train
