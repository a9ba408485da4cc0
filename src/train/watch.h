// A run as seen from outside: follows its metrics.jsonl and draws what it says as text.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/report/table.h"
#include "train/run_figures.h"

namespace hadal::train {

// Reads a run's metrics.jsonl as it grows, from where it stopped the last time; anew when a resumed run has cut it
// back.
class MetricsFollower {
 public:
  explicit MetricsFollower(const std::filesystem::path& run_dir)
      : path_(run_dir / "metrics.jsonl"), reader_(path_.string()) {}
  // Whether anything has changed. Throws Error for lines that are no metrics; a file that is not there yet is no error.
  bool poll();
  const std::vector<StepMetrics>& steps() const { return steps_; }
  // Since the file was written: at the first look by the file's date, from then on by a clock that nobody sets; 0 if it
  // is not there.
  double seconds_since_last() const;

 private:
  std::filesystem::path path_;
  MetricsReader reader_;
  std::vector<StepMetrics> steps_;
  std::uint64_t inode_ = 0, read_ = 0;
  std::optional<std::chrono::steady_clock::time_point> changed_;
};

struct View {
  std::string title;
  std::vector<std::string> gates;  // names of the rows of max_violation; empty: numbers
  std::size_t width = 100, height = 30;
  bool colour = false;
};

bool finished(const std::vector<StepMetrics>& steps);
// Seconds to the end at the speed of the latest steps; 0 if finished or unknown.
double seconds_left(const std::vector<StepMetrics>& steps);

// A frame of at most view.height lines of at most view.width characters: progress and ETA, curve of the lm loss,
// sparklines of rate, gradient norm and speed, MaxVio by layer, last validations. age: seconds since the last step.
std::vector<std::string> draw_frame(const std::vector<StepMetrics>& steps, const View& view, double age);
// The same in one line.
std::string draw_line(const std::vector<StepMetrics>& steps);

struct RunView {
  std::string name;
  const std::vector<StepMetrics>* steps = nullptr;
  double age = 0;
};
// Several runs in a frame: their curves over each other, a line of figures each, and as much of the differences of
// their recipes (compare.h) as there is room for.
std::vector<std::string> draw_comparison(const std::vector<RunView>& runs, const report::Table& differences,
                                         const View& view);

}  // namespace hadal::train
