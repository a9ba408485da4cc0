// The spike guard: says which steps must be skipped, and when too many were. A skipped step changes nothing but the
// data position, the tokens and with them the schedules.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hadal::train {

// Why a step is skipped, as metrics.jsonl has it. kSpike: one of the two, from files that do not say which.
inline constexpr const char *kNotFinite = "not finite", *kLossSpike = "loss spike", *kGradientSpike = "gradient spike",
                            *kSpike = "loss or gradient spike";

struct GuardSettings {
  double z = 0, grad_z = 0;   // most standard deviations above the mean: of the main loss, of the gradient norm; 0: any
  std::int64_t window = 128;  // applied steps that give mean and deviation; from half of them on the guard judges
  std::int64_t most_in_row = 0;  // skipped steps in a row that end the run; 0: any number
};

class SpikeGuard {
 public:
  explicit SpikeGuard(const GuardSettings& settings) : s_(settings) {}

  // Why the step must be skipped, or empty: then it will be applied, and its numbers join the statistics. loss: the
  // whole objective; main: its cross-entropy. Only rises are spikes; not finite is always one.
  std::string judge(double loss, double main, double grad_norm);
  // The same in a word, one of the above; empty if the step last judged is applied.
  const std::string& cause() const { return cause_; }

  bool gives_up() const { return s_.most_in_row > 0 && skipped_in_row_ >= s_.most_in_row; }
  std::int64_t skipped_in_row() const { return skipped_in_row_; }
  void forgive() { skipped_in_row_ = 0; }

  std::string state() const;               // JSON
  void restore(const std::string& state);  // empty: a checkpoint from before there was a guard

 private:
  GuardSettings s_;
  std::vector<double> losses_, norms_;  // of the last applied steps, oldest first
  std::int64_t skipped_in_row_ = 0;
  std::string cause_;
};

}  // namespace hadal::train
