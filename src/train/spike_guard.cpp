#include "train/spike_guard.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"

namespace hadal::train {

namespace {

// Standard deviations of x above the mean of `past`. A spread below a two-hundredth of the mean is taken as that much:
// else a loss that hardly moves would make a spike of every flicker.
double z_score(const std::vector<double>& past, double x) {
  const auto n = static_cast<double>(past.size());
  double mean = 0, variance = 0;
  for (const double v : past) mean += v / n;
  for (const double v : past) variance += (v - mean) * (v - mean) / n;
  return (x - mean) / std::max({std::sqrt(variance), 0.005 * std::abs(mean), 1e-12});
}

}  // namespace

std::string SpikeGuard::judge(double loss, double main, double grad_norm) {
  std::string reason;
  cause_.clear();
  if (!std::isfinite(loss) || !std::isfinite(grad_norm)) {
    cause_ = kNotFinite;
    reason = fmt::format("loss {} and gradient norm {} are not finite", loss, grad_norm);
  } else if (2 * static_cast<std::int64_t>(losses_.size()) >= s_.window) {
    const double z = z_score(losses_, main), grad_z = z_score(norms_, grad_norm);
    if (s_.z > 0 && z > s_.z) {
      cause_ = kLossSpike;
      reason = fmt::format("loss {:.4f} is {:.1f} standard deviations above its mean", main, z);
    } else if (s_.grad_z > 0 && grad_z > s_.grad_z) {
      cause_ = kGradientSpike;
      reason = fmt::format("gradient norm {:.4f} is {:.1f} standard deviations above its mean", grad_norm, grad_z);
    }
  }
  if (!reason.empty()) {
    ++skipped_in_row_;
    return reason;
  }
  skipped_in_row_ = 0;
  for (auto& [values, v] : {std::pair{&losses_, main}, std::pair{&norms_, grad_norm}}) {
    values->push_back(v);
    if (static_cast<std::int64_t>(values->size()) > s_.window) values->erase(values->begin());
  }
  return reason;
}

std::string SpikeGuard::state() const {
  return json{{"losses", losses_}, {"norms", norms_}, {"skipped_in_row", skipped_in_row_}}.dump();
}

void SpikeGuard::restore(const std::string& state) {
  if (state.empty()) return;
  const std::string what = "the checkpoint's guard statistics";
  const json document = parse_json(state, what);
  const JsonField j(document, what);
  losses_ = j.at("losses").numbers();
  norms_ = j.at("norms").numbers();
  skipped_in_row_ = j.at("skipped_in_row").integer(0);
}

}  // namespace hadal::train
