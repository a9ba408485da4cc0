// Plots as SVG figures. Private to base/report.
#pragma once

#include <string>

#include "base/report/html.h"

namespace hadal::report::detail {

inline constexpr int kColours = 8;     // series colours: classes c0 to c7
inline constexpr int kHeatLevels = 8;  // to each side of the neutral colour: classes h-8 to h8

std::string figure_of(const LinePlot& plot);
std::string figure_of(const Heatmap& map);

}  // namespace hadal::report::detail
