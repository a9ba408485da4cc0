#include "base/progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "base/one_line.h"

namespace hadal {

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

Progress::Progress(std::string title, std::int64_t total, std::string unit, std::FILE* out)
    : title_(std::move(title)),
      unit_(std::move(unit)),
      total_(total),
      out_(out),
      terminal_(isatty(fileno(out)) == 1),
      start_(Clock::now()),
      last_(start_ - std::chrono::hours(1)) {}

Progress::~Progress() {
  if (!finished_ && first_ >= 0 && terminal_) std::fputc('\n', out_);
}

void Progress::update(std::int64_t done, const std::string& note) {
  if (first_ < 0) {
    first_ = done;
    start_ = Clock::now();
  }
  done_ = done;
  note_ = note;
  if (Clock::now() - last_ < (terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(10000))) return;
  last_ = Clock::now();
  print(note, false);
}

void Progress::skip_to(std::int64_t done) {
  if (first_ < 0) {
    first_ = done;
    start_ = Clock::now();
  } else {
    first_ += done - done_;
  }
  done_ = done;
}

void Progress::print(const std::string& note, bool last) {
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  const double rate = seconds > 0 ? static_cast<double>(done_ - (first_ < 0 ? done_ : first_)) / seconds : 0;
  std::string line = title_ + " ";
  if (total_ > 0) {
    const double share = std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
    constexpr int kWidth = 24;
    const int full = static_cast<int>(share * kWidth);
    line += fmt::format("[{}{}] {:3.0f}% ", std::string(static_cast<std::size_t>(full), '#'),
                        std::string(static_cast<std::size_t>(kWidth - full), '.'), 100 * share);
  }
  line += fmt::format("{} {}", short_number(static_cast<double>(done_)), unit_);
  if (rate > 0) line += fmt::format(", {}/s", short_number(rate));
  if (last) {
    line += fmt::format(", {}", duration(seconds));
  } else if (total_ > 0 && rate > 0) {
    line += fmt::format(", ETA {}", duration(static_cast<double>(total_ - done_) / rate));
  }
  if (!note.empty()) line += "  " + note;
  fmt::print(out_, "{}{}{}", terminal_ ? "\r\033[K" : "", cut(escaped(line), kMaxLine), terminal_ && !last ? "" : "\n");
  std::fflush(out_);
}

void Progress::message(const std::string& line) {
  fmt::print(out_, "{}{}\n", terminal_ ? "\r\033[K" : "", cut(escaped(line), kMaxLine));
  std::fflush(out_);
}

void Progress::drop() {
  if (terminal_ && first_ >= 0 && !finished_) std::fputs("\r\033[K", out_);
  finished_ = true;
}

void Progress::finish(const std::string& note) {
  if (finished_) return;
  finished_ = true;
  print(note.empty() ? note_ : note, true);
}

}  // namespace hadal
