#include "train/step_note.h"

#include <fmt/core.h>

namespace hadal::train {

void StepNote::add(const StepMetrics& m) {
  recent_.push_back(m);
  if (recent_.size() > kRecentSteps) recent_.erase(recent_.begin());
}

std::vector<std::string> StepNote::notes() const {
  if (recent_.empty()) return {};
  const StepMetrics& m = recent_.back();
  std::vector<std::string> notes = {fmt::format("lm loss {:.3f}", m.lm_loss)};
  if (recent_.size() > 1) notes.push_back(fmt::format("mean of {}: {:.3f}", recent_.size(), recent_lm_loss(recent_)));
  notes.push_back(fmt::format("|g| {:.2f}", m.grad_norm));
  notes.push_back(fmt::format("MFU {:.0f}%", 100 * pace(recent_).share_of_peak));
  if (!m.max_violation.empty()) notes.push_back(fmt::format("MaxVio {:.2f}", mean_of(m.max_violation)));
  for (std::size_t k = 0; k < m.mtp_loss.size(); ++k)
    notes.push_back(
        fmt::format("MTP loss{} {:.3f}", m.mtp_loss.size() > 1 ? fmt::format(" {}", k + 1) : "", m.mtp_loss[k]));
  notes.push_back(fmt::format("step {}", m.step));
  return notes;
}

}  // namespace hadal::train
