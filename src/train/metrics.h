// What a run writes down: a line of JSON per step in metrics.jsonl. docs/training.md has a table of all its keys.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace hadal::train {

// What a text that is not trained on costs the model.
struct Validation {
  std::string name;       // says which text and how many rows of it were read: figures of one name are one series
  std::int64_t rows = 0;  // that were read
  bool whole = false;     // all rows there are
  double lm_loss = 0, bits_per_byte = 0, max_violation = 0;
  std::vector<double> mtp_acceptance;
};

struct StepMetrics {
  std::int64_t step = 0, tokens = 0, total_tokens = 0, rows = 0;
  // Nats per token: the main next-token cross-entropy; that of each MTP module; what is minimised, the sum of all
  // losses with their weights.
  double lm_loss = 0, objective = 0;
  std::vector<double> mtp_loss;
  double balance_loss = 0;                                         // before its weight alpha
  double device_balance_loss = 0, communication_balance_loss = 0;  // V2's; written if the recipe weighs them
  double grad_norm = 0, lr = 0, gamma = 0, lambda = 0;
  double seconds = 0, tokens_per_second = 0, share_of_peak = 0;
  std::vector<double> max_violation;                // per gate, of this step's batch
  std::vector<std::vector<std::int64_t>> loads_LE;  // MoE layers, then MTP modules
  double memory_gib = 0;                            // peak resident so far
  std::string skipped;                  // why the spike guard left the parameters as they were; empty: it did not
  std::vector<Validation> validations;  // that followed this step
};

std::string to_json(const StepMetrics& m);
// Every key that a line can have, those inside of "validation" as "validation.KEY".
std::vector<std::string> metric_keys();

// Reads metrics.jsonl piece by piece. A line that is not JSON, that lacks a key, has a value of another type, comes out
// of order, or has other layers and experts than the lines before it is an Error that names `what` and the line.
class MetricsReader {
 public:
  explicit MetricsReader(std::string what) : what_(std::move(what)) {}
  StepMetrics line(std::string_view text);
  // The whole lines of `text`; a last one without its end is still being written and left out.
  std::vector<StepMetrics> lines(std::string_view text);

 private:
  std::string what_;
  std::int64_t line_ = 0;
  std::optional<StepMetrics> last_;
};

// Calls f with every step of a file, one after the other. Throws Error as MetricsReader.
void each_step(const std::filesystem::path& path, const std::function<void(StepMetrics)>& f);
// All steps of a file. Throws Error as MetricsReader.
std::vector<StepMetrics> read_metrics(const std::filesystem::path& path);

// metrics.jsonl, appended line by line. Opening cuts it back to lines of steps <= `step`, so that a resumed run leaves
// no step twice; a half-written last line goes, too.
class MetricsLog {
 public:
  MetricsLog(const std::filesystem::path& path, std::int64_t step);
  // As GrowingFile: what cannot be written is kept.
  void append(const StepMetrics& m) { file_->append(to_json(m) + "\n"); }
  void sync() { file_->sync(); }
  bool put_back() { return file_->put_back(); }

 private:
  std::unique_ptr<GrowingFile> file_;
};

double peak_memory_gib();
// The validations before the first step, in before.json; empty if the run has no held-out text.
void write_before(const std::filesystem::path& run_dir, const std::vector<Validation>& validations);
std::vector<Validation> read_before(const std::filesystem::path& run_dir);

}  // namespace hadal::train
