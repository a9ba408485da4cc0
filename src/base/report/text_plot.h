// Small plots out of characters, for terminals: UTF-8; escape codes only where colours are asked for.
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

struct Curve {
  std::string name;
  std::vector<double> xs, ys;
};

// How curves are told apart: not at all; each in a colour; each by its letter, a for the first, and * where they meet.
enum class Mark { dots, colours, letters };

// Curves in one frame, dots of two by four per character (or letters): `height` lines of `width` characters, with round
// numbers at both axes, x in a line below the frame. Points that are not finite are left out; several that fall on one
// column show as their mean.
std::vector<std::string> curve_plot(const std::vector<Curve>& curves, std::size_t width, std::size_t height, Mark mark);
// What the plot uses for curve number `i`: its letter, in its colour if there are colours.
std::string curve_key(std::size_t i, Mark mark);

// "████▌   ": `share` (0 to 1) of `width` characters, to an eighth of one.
std::string bar(double share, std::size_t width);

// Characters that a UTF-8 text takes on a terminal, if each takes one; escape codes of colours take none.
std::size_t shown_width(const std::string& text);
// The first `width` characters, and all escape codes.
std::string cut_to_width(const std::string& text, std::size_t width);
// As it is, or its end after "…" where it is longer than `width`: of names and paths the end says most.
std::string shortened(const std::string& text, std::size_t width);

}  // namespace hadal::report
