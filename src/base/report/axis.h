// Numbers on axes, of pages and of terminals alike.
#pragma once

#include <string>
#include <vector>

namespace hadal::report {

// About `about` round numbers in [low, high], rising: multiples of 1, 2 or 5 times a power of ten.
std::vector<double> round_marks(double low, double high, double about);

// 1234567 -> "1.23M", 0.00012 -> "1.2e-04": what axes and legends say.
std::string tick(double value);

}  // namespace hadal::report
