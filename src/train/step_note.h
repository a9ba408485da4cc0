// What the training bar says of the steps: the newest loss, and means over the last steps that do not jump about.
#pragma once

#include <string>
#include <vector>

#include "train/run_figures.h"

namespace hadal::train {

class StepNote {
 public:
  void add(const StepMetrics& m);
  // The most important first, for Progress::update: lm loss of the step, its mean over the last steps, gradient norm,
  // MFU, MaxVio, MTP loss.
  std::vector<std::string> notes() const;
  // Of the last steps, the same as notes() and `hadal watch` count.
  double tokens_per_second() const { return pace(recent_).tokens_per_second; }

 private:
  StepLog recent_;
};

}  // namespace hadal::train
