// Progress of long work: a bar with rate and ETA on a terminal, plain lines now and then otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace hadal {

class Progress {
 public:
  // total 0: unknown. unit: "tokens", "bytes", ...
  Progress(std::string title, std::int64_t total, std::string unit, std::FILE* out = stderr);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` of total; note is shown at the end of the line. Cheap: prints at most ten times a second, or every ten
  // seconds where there is no terminal.
  void update(std::int64_t done, const std::string& note = "");
  // So much was done before, or by others: it moves the bar, but the rate does not count it.
  void skip_to(std::int64_t done);
  // A line of its own that does not break the bar.
  void message(const std::string& line);
  void finish(const std::string& note = "");
  // The bar goes from the terminal, as if it had not been there: for work inside other work.
  void drop();

 private:
  using Clock = std::chrono::steady_clock;
  void print(const std::string& note, bool last);
  std::string title_, unit_, note_;
  std::int64_t total_, done_ = 0, first_ = -1;
  std::FILE* out_;
  bool terminal_, finished_ = false;
  Clock::time_point start_, last_;
};

// 1234567 -> "1.23M"; 75 -> "1:15".
std::string short_number(double value);
std::string duration(double seconds);

}  // namespace hadal
