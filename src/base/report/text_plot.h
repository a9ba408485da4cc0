// Small plots out of characters, for terminals: UTF-8, no escape codes.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace hadal::report {

// Mean of each of at most `columns` stretches of equal length, in order; values that are not finite are left out. As
// long as `values` if that is shorter. A stretch without a finite value is NaN.
std::vector<double> condensed(const std::vector<double>& values, std::size_t columns);

// One character a value, ▁ at the least and █ at the greatest of the finite ones; a space for a value that is not
// finite.
std::string sparkline(const std::vector<double>& values, std::size_t columns);

// A curve in dots, two by four a character: `height` lines of `width` characters, ys over equal steps of x, with the
// values of the top and bottom edge at the left in front of a frame.
std::vector<std::string> dot_plot(const std::vector<double>& ys, std::size_t width, std::size_t height);

// "████▌   ": `share` (0 to 1) of `width` characters, to an eighth of one.
std::string bar(double share, std::size_t width);

// Characters that a UTF-8 text takes on a terminal, if each takes one.
std::size_t shown_width(const std::string& text);
// The first `width` characters.
std::string cut_to_width(const std::string& text, std::size_t width);

}  // namespace hadal::report
