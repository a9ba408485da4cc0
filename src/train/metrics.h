// What a run writes down: a line of JSON a step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace hadal::train {

struct StepMetrics {
  std::int64_t step = 0, tokens = 0, total_tokens = 0, rows = 0;
  double loss = 0, main = 0, balance = 0, grad_norm = 0, lr = 0, gamma = 0, lambda = 0;
  double device_balance = 0, communication_balance = 0;  // V2's losses; written if the recipe weighs them
  std::vector<double> mtp;
  double seconds = 0, tokens_per_second = 0, share_of_peak = 0;
  std::vector<double> max_violation;                // a layer each, of this step's batch
  std::vector<std::vector<std::int64_t>> loads_LE;  // MoE layers, then MTP modules
  double memory_gib = 0;                            // peak resident so far
  bool skipped = false;                             // by the spike guard: parameters untouched
  // Set when this step was followed by a validation.
  bool validated = false;
  double heldout_bits_per_byte = 0, heldout_loss = 0, heldout_max_violation = 0;
  std::vector<double> mtp_acceptance;
};

std::string to_json(const StepMetrics& m);
// The whole lines of `text`; a last one without its end is still being written and left out. Throws Error naming
// `what` and the line, counted from first_line.
std::vector<StepMetrics> parse_metrics(std::string_view text, const std::string& what, std::size_t first_line);
// The same of a file. Throws Error naming the file and line.
std::vector<StepMetrics> read_metrics(const std::filesystem::path& path);

// metrics.jsonl, appended line by line. Opening cuts it back to lines of steps <= `step`, so that a resumed run leaves
// no step twice; a half-written last line goes, too.
class MetricsLog {
 public:
  MetricsLog(const std::filesystem::path& path, std::int64_t step);
  // As GrowingFile: what cannot be written is kept.
  void append(const StepMetrics& m) { file_->append(to_json(m) + "\n"); }
  void sync() { file_->sync(); }

 private:
  std::unique_ptr<GrowingFile> file_;
};

double peak_memory_gib();
// Held-out bits per byte before the first step, as the trainer noted it; 0 if the run has no held-out text.
double read_before(const std::filesystem::path& run_dir);

}  // namespace hadal::train
