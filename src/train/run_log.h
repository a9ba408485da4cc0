// What a run writes down as it goes: metrics.jsonl and RUN/tensorboard. Both outlive a disk that is full for a while.
#pragma once

#include <filesystem>
#include <string>

#include "train/metrics.h"
#include "train/tensorboard.h"

namespace hadal::train {

class RunLog {
 public:
  // Cut back to `step`. Throws Error naming the file.
  RunLog(const std::filesystem::path& run_dir, std::int64_t step, const model::Config& config);
  // What the user should know, or empty: why a step could not be written (it is kept and written with a later one; told
  // once until all is written), or that a file had gone and was written again.
  std::string append(const StepMetrics& m);
  // All steps so far are in the files, metrics.jsonl on the disk. Throws Error while something cannot be written.
  void flush();

 private:
  void put_back();

  MetricsLog metrics_;
  TensorBoardLog board_;
  bool told_ = false;
  std::string put_back_;  // to be said
};

}  // namespace hadal::train
