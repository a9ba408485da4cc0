// RUN/tensorboard: the metrics of a run for TensorBoard, beside metrics.jsonl and cut back like it on resumption.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/report/event_file.h"
#include "model/config.h"
#include "train/metrics.h"

namespace hadal::train {

// What the rows of StepMetrics::loads_LE are: "layer 1", ..., "MTP 1".
std::vector<std::string> gate_names(const model::Config& config);

// Losses, norms, rates and speed as scalars; for each gate MaxVio as a scalar and the loads as a histogram over the
// experts' numbers.
report::Event event_of(const StepMetrics& metrics, const std::vector<std::string>& gates, double wall_time);

class TensorBoardLog {
 public:
  // Throws Error naming the path, as report::EventFile does.
  TensorBoardLog(const std::filesystem::path& run_dir, std::int64_t step, const model::Config& config);
  // As GrowingFile: what cannot be written is kept.
  void append(const StepMetrics& metrics);
  void flush() { file_.flush(); }
  bool put_back() { return file_.put_back(); }

 private:
  std::vector<std::string> gates_;
  report::EventFile file_;
};

}  // namespace hadal::train
