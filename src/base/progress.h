// Progress of long work: a bar with rate and ETA on a terminal, as wide as the terminal is; plain lines now and then
// otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace hadal {

// What a line of progress says.
struct ProgressState {
  std::string title, unit;
  std::int64_t done = 0, total = 0;  // total 0: unknown
  double rate = 0;                   // units per second; 0: unknown
  double seconds = 0;                // so far
  bool finished = false;             // then the time that it took is shown, not the time left
  std::vector<std::string> notes;    // none empty, the most important first
  bool bar = true;                   // a log has none
};

// The line in at most `width` characters. First come how much is done, the time left and the first note; then, as room
// allows, the rate, the bar, the counts and the other notes. colour: with escape codes, which take no room.
std::string progress_line(const ProgressState& state, std::size_t width, bool colour = false);

class Progress {
 public:
  // total 0: unknown. unit: "tokens", "bytes", ...
  Progress(const std::string& title, std::int64_t total, std::string unit, std::FILE* out = stderr);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` of total; notes stand at the end of the line, the most important first: those that find no room are left
  // out. Cheap: prints at most ten times a second, or every ten seconds where there is no terminal.
  void update(std::int64_t done, std::vector<std::string> notes);
  void update(std::int64_t done, const std::string& note = "");
  // So much was done before, or by others: it moves the bar, but the rate does not count it.
  void skip_to(std::int64_t done);
  // The rate as the caller knows it better, for the line and its ETA: until the end, where the line has no rate then.
  void set_rate(double per_second) { given_rate_ = per_second; }
  // A line of its own that does not break the bar; on a terminal it is broken between words where it is too long.
  void message(const std::string& line);
  void finish(const std::string& note = "");
  // The bar goes from the terminal, as if it had not been there: for work inside other work.
  void drop();

 private:
  using Clock = std::chrono::steady_clock;
  void print(bool last);
  std::string clear();
  ProgressState state_;
  std::int64_t first_ = -1;
  double given_rate_ = 0;
  std::FILE* out_;
  bool terminal_, colour_, finished_ = false;
  std::size_t shown_ = 0;  // characters of the bar that stands on the terminal now
  Clock::time_point start_, last_;
};

// 1234567 -> "1.23M"; 75 -> "1:15".
std::string short_number(double value);
std::string duration(double seconds);

}  // namespace hadal
