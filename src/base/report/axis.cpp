#include "base/report/axis.h"

#include <fmt/core.h>

#include <cmath>
#include <utility>

namespace hadal::report {

std::vector<double> round_marks(double low, double high, double about) {
  if (!std::isfinite(low) || !std::isfinite(high) || !(high > low)) return {};
  const double raw = (high - low) / about, power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = power;
  for (const double f : {1.0, 2.0, 5.0, 10.0}) {
    step = f * power;
    if (step >= raw) break;
  }
  std::vector<double> result;
  // A step too small for the numbers it stands between would never end.
  if (!(low + step > low) || !(high - step < high)) return result;
  for (double i = std::ceil(low / step); i * step <= high + step * 1e-9; ++i) result.push_back(i == 0 ? 0 : i * step);
  return result;
}

std::string tick(double v) {
  if (v == 0) return "0";
  const double size = std::abs(v);
  for (const auto& [limit, suffix] : {std::pair{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e4, "k"}}) {
    if (size >= limit) return fmt::format("{:.3g}{}", v / (limit == 1e4 ? 1e3 : limit), suffix);
  }
  if (size < 1e-3) return fmt::format("{:.1e}", v);
  return fmt::format("{:.4g}", v);
}

}  // namespace hadal::report
