#include "train/watch.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "base/error.h"
#include "base/progress.h"
#include "base/report/text_plot.h"
#include "train/run_figures.h"

namespace hadal::train {

namespace {

using Steps = std::vector<StepMetrics>;

template <class F>
std::vector<double> values(const Steps& steps, const F& value) {
  std::vector<double> v;
  for (const StepMetrics& m : steps) v.push_back(value(m));
  return v;
}

double tokens_per_second(const Steps& steps) { return pace(steps, kRecentSteps).tokens_per_second; }

double share_done(const StepMetrics& m) {
  return m.total_tokens > 0 ? std::min(1.0, static_cast<double>(m.tokens) / static_cast<double>(m.total_tokens)) : 0;
}

std::string losses(const StepMetrics& m) {
  std::string text = fmt::format("lm loss {:.4f}", m.lm_loss);
  for (std::size_t k = 0; k < m.mtp_loss.size(); ++k) text += fmt::format("  MTP {} {:.4f}", k + 1, m.mtp_loss[k]);
  return text + (m.skipped.empty() ? "" : fmt::format("  (step skipped: {})", m.skipped));
}

std::string gate_name(const View& view, std::size_t gate) {
  return gate < view.gates.size() ? view.gates[gate] : fmt::format("gate {}", gate + 1);
}

void add_spark(std::vector<std::string>& lines, const std::string& name, const std::string& value,
               const std::vector<double>& history, std::size_t width) {
  const std::string head = fmt::format("  {:<16}{:>14}  ", name, value);
  lines.push_back(head + report::sparkline(history, width - std::min(width, report::shown_width(head))));
}

// A line a gate where there is room, else one character a gate.
void add_violations(std::vector<std::string>& lines, const Steps& steps, const View& view, std::size_t room) {
  const std::vector<double>& now = steps.back().max_violation;
  if (now.empty() || room == 0) return;
  if (now.size() <= room) {
    for (std::size_t g = 0; g < now.size(); ++g) {
      add_spark(
          lines, "MaxVio " + gate_name(view, g), fmt::format("{:.3f}", now[g]),
          values(steps, [g](const StepMetrics& m) { return g < m.max_violation.size() ? m.max_violation[g] : 0; }),
          view.width);
    }
    return;
  }
  const auto worst = std::max_element(now.begin(), now.end());
  lines.push_back(fmt::format("  MaxVio by layer  {}  mean {:.3f}, worst {:.3f} ({})",
                              report::sparkline(now, view.width / 2), mean_of(now), *worst,
                              gate_name(view, static_cast<std::size_t>(worst - now.begin()))));
}

std::string validation_line(const Steps& steps) {
  const auto last = last_validation(steps);
  if (!last) return "  validation      none yet";
  const Validation& v = last->figures;
  std::string line = fmt::format("  validation at step {} ({}): {:.4f} nats/token, {:.4f} bits/byte, MaxVio {:.3f}",
                                 last->step, v.name, v.lm_loss, v.bits_per_byte, v.max_violation);
  for (std::size_t k = 0; k < v.mtp_acceptance.size(); ++k)
    line += fmt::format(", MTP {} {:.1f} %", k + 1, 100 * v.mtp_acceptance[k]);
  return line;
}

std::string state_of(const Steps& steps, double age) {
  if (finished(steps)) return "finished";
  // A step can take its time, and so can a validation: only a long silence is worth a word.
  const double usual = steps.back().seconds;
  if (age > 60 + 10 * usual) return fmt::format("no step for {}: stopped?", duration(age));
  return "ETA " + duration(seconds_left(steps));
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
  const double speed = steps.empty() ? 0 : tokens_per_second(steps);
  if (speed <= 0 || finished(steps)) return 0;
  return static_cast<double>(steps.back().total_tokens - steps.back().tokens) / speed;
}

std::vector<std::string> draw_frame(const Steps& steps, const View& view, double age) {
  std::vector<std::string> lines = {view.title};
  if (steps.empty()) {
    lines.push_back("  no step yet: waiting for metrics.jsonl");
  } else {
    const StepMetrics& m = steps.back();
    const double done = share_done(m);
    lines.push_back(fmt::format("  {} {:.0f} %  step {}, {} of {} tokens, {}", report::bar(done, 24), 100 * done,
                                m.step, short_number(static_cast<double>(m.tokens)),
                                short_number(static_cast<double>(m.total_tokens)), state_of(steps, age)));
    lines.push_back("  " + losses(m));
    constexpr std::size_t kOthers = 10;  // lines beside the curve and MaxVio
    const std::size_t gates = std::min<std::size_t>(m.max_violation.size(), 8),
                      curve = std::clamp<std::size_t>(view.height > kOthers + gates ? view.height - kOthers - gates : 3,
                                                      3, 12);
    const std::vector<double> losses_of_steps = values(steps, [](const StepMetrics& s) { return s.lm_loss; });
    for (const std::string& line : report::dot_plot(losses_of_steps, view.width, curve)) lines.push_back(line);
    const std::string right = short_number(static_cast<double>(m.tokens)) + " tokens";
    const std::string left = "         " + short_number(static_cast<double>(steps.front().tokens));
    const std::size_t gap = view.width > left.size() + right.size() ? view.width - left.size() - right.size() : 1;
    lines.push_back(left + std::string(gap, ' ') + right);
    add_spark(lines, "learning rate", fmt::format("{:.2e}", m.lr),
              values(steps, [](const StepMetrics& s) { return s.lr; }), view.width);
    add_spark(lines, "|g|", fmt::format("{:.3f}", m.grad_norm),
              values(steps, [](const StepMetrics& s) { return s.grad_norm; }), view.width);
    add_spark(lines, "tokens/s", short_number(tokens_per_second(steps)),
              values(steps, [](const StepMetrics& s) { return s.tokens_per_second; }), view.width);
    add_spark(lines, "share of peak", fmt::format("{:.0f} %", 100 * m.share_of_peak),
              values(steps, [](const StepMetrics& s) { return s.share_of_peak; }), view.width);
    const std::size_t used = lines.size() + 1;
    add_violations(lines, steps, view, std::min<std::size_t>(8, view.height > used ? view.height - used : 0));
    lines.push_back(validation_line(steps));
  }
  if (lines.size() > view.height) lines.resize(view.height);
  for (std::string& line : lines) line = report::cut_to_width(line, view.width);
  return lines;
}

std::string draw_line(const Steps& steps) {
  if (steps.empty()) return "no step yet: waiting for metrics.jsonl";
  const StepMetrics& m = steps.back();
  std::string line = fmt::format("step {}  {:.0f} %  {}  lr {:.2e}  |g| {:.3f}  {} tokens/s  {:.0f} % of peak", m.step,
                                 100 * share_done(m), losses(m), m.lr, m.grad_norm,
                                 short_number(tokens_per_second(steps)), 100 * m.share_of_peak);
  if (!m.max_violation.empty()) {
    line += fmt::format("  MaxVio {:.3f} (worst {:.3f})", mean_of(m.max_violation),
                        *std::max_element(m.max_violation.begin(), m.max_violation.end()));
  }
  if (const auto v = last_validation(steps))
    line += fmt::format("  validation ({}) {:.4f} bits per byte", v->figures.name, v->figures.bits_per_byte);
  return line + (finished(steps) ? "  finished" : "  ETA " + duration(seconds_left(steps)));
}

}  // namespace hadal::train
