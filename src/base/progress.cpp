#include "base/progress.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/one_line.h"
#include "base/report/text_plot.h"
#include "base/terminal.h"
#include "base/wrap.h"

namespace hadal {

namespace {

using report::shown_width;

constexpr std::size_t kMinBar = 8, kMaxBar = 40;  // characters between the brackets

// What a line is made of, in the order in which it stands there.
struct Parts {
  std::string title, share, counts, rate, time;
  std::vector<std::string> notes;
  std::size_t bar = 0;
};

std::size_t width_of(const Parts& p) {
  std::size_t n = shown_width(p.title) + (p.bar > 0 ? p.bar + 3 : 0);
  for (const std::string* s : {&p.share, &p.counts, &p.rate, &p.time}) n += s->empty() ? 0 : shown_width(*s) + 2;
  for (const std::string& s : p.notes) n += shown_width(s) + 2;
  return n - (p.bar > 0 ? 0 : 1);  // one space after the title where no bar stands
}

double share_of(const ProgressState& s) {
  return s.total > 0 ? std::clamp(static_cast<double>(s.done) / static_cast<double>(s.total), 0.0, 1.0) : 0;
}

std::string time_of(const ProgressState& s) {
  if (s.finished) return fmt::format("in {}", duration(s.seconds));
  if (s.total <= 0 || s.rate <= 0) return "";
  return fmt::format("ETA {}", duration(static_cast<double>(s.total - s.done) / s.rate));
}

std::string text_of(const Parts& p, double share, bool colour) {
  std::string line = p.title;
  if (p.bar > 0) {
    const auto full = static_cast<std::size_t>(share * static_cast<double>(p.bar));
    line += fmt::format(" [{}{}{}{}]", colour ? "\033[36m" : "", std::string(full, '#'), colour ? "\033[0m" : "",
                        std::string(p.bar - full, '.'));
  }
  bool first = p.bar == 0;
  const auto add = [&](const std::string& text) {
    if (text.empty()) return;
    line += (first ? " " : "  ") + text;
    first = false;
  };
  for (const std::string& part : {p.share, p.counts, p.rate, p.time}) add(part);
  for (const std::string& note : p.notes) add(note);
  return line;
}

}  // namespace

std::string short_number(double value) {
  for (const auto& [limit, suffix] : {std::pair{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}}) {
    if (value >= limit) return fmt::format("{:.3g}{}", value / limit, suffix);
  }
  return fmt::format("{:.3g}", value);
}

std::string duration(double seconds) {
  const auto s = static_cast<std::int64_t>(std::lround(std::max(0.0, seconds)));
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

std::string progress_line(const ProgressState& s, std::size_t width, bool colour) {
  const double share = share_of(s);
  // What grows on a terminal keeps its width, so that the bar beside it does not jump.
  const auto steady = [&](const std::string& text) {
    return fmt::format("{:>{}}", text, s.bar && s.total > 0 && !s.finished ? 5 : 0);
  };
  const std::string done = steady(short_number(static_cast<double>(s.done)));
  Parts p;
  p.title = s.title;
  if (s.total > 0) {
    p.share = fmt::format("{:3.0f}%", std::floor(100 * share));
  } else {
    p.counts = fmt::format("{} {}", done, s.unit);
  }
  // Takes what still finds room.
  const auto want = [&](auto&& change) {
    Parts more = p;
    change(more);
    if (width_of(more) <= width) p = std::move(more);
  };
  want([&](Parts& m) { m.time = time_of(s); });
  // In their order: one that finds no room ends them.
  const auto want_notes = [&](std::size_t most) {
    while (p.notes.size() < std::min(most, s.notes.size())) {
      const std::size_t had = p.notes.size();
      want([&](Parts& m) { m.notes.push_back(s.notes[had]); });
      if (p.notes.size() == had) break;
    }
  };
  want_notes(1);
  if (s.rate > 0) want([&](Parts& m) { m.rate = fmt::format("{}/s", steady(short_number(s.rate))); });
  if (s.total > 0 && s.bar) want([&](Parts& m) { m.bar = kMinBar; });
  want_notes(2);
  if (s.total > 0) {
    want([&](Parts& m) {
      m.counts = s.finished ? fmt::format("{} {}", done, s.unit)
                            : fmt::format("{}/{} {}", done, short_number(static_cast<double>(s.total)), s.unit);
    });
  }
  want_notes(s.notes.size());
  if (!p.rate.empty()) want([&](Parts& m) { m.rate = fmt::format("{} {}/s", steady(short_number(s.rate)), s.unit); });
  if (p.bar > 0) p.bar = std::clamp(p.bar + width - width_of(p), p.bar, std::max(p.bar, kMaxBar));
  const std::string line = text_of(p, share, colour);
  return width_of(p) <= width ? line : report::cut_to_width(text_of(p, share, false), width);
}

Progress::Progress(const std::string& title, std::int64_t total, std::string unit, std::FILE* out)
    : out_(out),
      terminal_(can_redraw(out)),
      colour_(shows_colour(out)),
      start_(Clock::now()),
      last_(start_ - std::chrono::hours(1)) {
  state_.title = escaped(title);
  state_.unit = std::move(unit);
  state_.total = total;
  state_.bar = terminal_;
}

Progress::~Progress() {
  if (!finished_ && shown_ > 0) std::fputc('\n', out_);
}

void Progress::update(std::int64_t done, std::vector<std::string> notes) {
  if (first_ < 0) {
    first_ = done;
    start_ = Clock::now();
  }
  state_.done = done;
  std::erase(notes, "");
  for (std::string& note : notes) note = escaped(note);
  state_.notes = std::move(notes);
  if (Clock::now() - last_ < (terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(10000))) return;
  last_ = Clock::now();
  print(false);
}

void Progress::update(std::int64_t done, const std::string& note) { update(done, std::vector<std::string>{note}); }

void Progress::skip_to(std::int64_t done) {
  if (first_ < 0) {
    first_ = done;
    start_ = Clock::now();
  } else {
    first_ += done - state_.done;
  }
  state_.done = done;
}

// Goes back to where the bar began. A window that has become narrower since then has broken it into several rows.
std::string Progress::clear() {
  if (!terminal_) return "";
  const std::size_t columns = terminal_size(out_).columns, rows = shown_ > columns ? (shown_ - 1) / columns : 0;
  shown_ = 0;
  return rows > 0 ? fmt::format("\r\033[{}A\033[J", rows) : "\r\033[K";
}

void Progress::print(bool last) {
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  state_.seconds = seconds;
  state_.finished = last;
  if (given_rate_ > 0) {
    state_.rate = last ? 0 : given_rate_;
  } else {
    state_.rate = seconds > 0 && first_ >= 0 ? static_cast<double>(state_.done - first_) / seconds : 0;
  }
  const std::string before = clear();
  // The last column stays free: some terminals go on to the next row as soon as it is written.
  const std::size_t width = terminal_ ? terminal_size(out_).columns - 1 : kMaxLine;
  const std::string line = progress_line(state_, width, colour_);
  fmt::print(out_, "{}{}{}", before, line, terminal_ && !last ? "" : "\n");
  std::fflush(out_);
  if (terminal_ && !last) shown_ = shown_width(progress_line(state_, width, false));
}

void Progress::message(const std::string& line) {
  const bool bar = shown_ > 0;
  const std::string text = cut(escaped(line), kMaxLine);
  fmt::print(out_, "{}{}\n", clear(), terminal_ ? wrapped(text, terminal_size(out_).columns - 1, 0, 2) : text);
  std::fflush(out_);
  if (bar && !finished_) print(false);
}

void Progress::drop() {
  if (shown_ > 0 && !finished_) std::fputs(clear().c_str(), out_);
  finished_ = true;
}

void Progress::finish(const std::string& note) {
  if (finished_) return;
  finished_ = true;
  if (!note.empty()) state_.notes = {escaped(note)};
  print(true);
}

}  // namespace hadal
