#include "base/report/text_plot.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

namespace hadal::report {

namespace {

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  bool empty() const { return !(low <= high); }
};

Range range_of(const std::vector<double>& values) {
  Range r;
  for (const double v : values) {
    if (!std::isfinite(v)) continue;
    r.low = std::min(r.low, v);
    r.high = std::max(r.high, v);
  }
  return r;
}

// U+2800 + mask; dots of a cell: 1 4 / 2 5 / 3 6 / 7 8 from the top.
std::string braille(unsigned mask) {
  const unsigned c = 0x2800 + mask;
  return {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 0x3F)),
          static_cast<char>(0x80 | (c & 0x3F))};
}

constexpr unsigned kDots[2][4] = {{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}};

}  // namespace

std::vector<double> condensed(const std::vector<double>& values, std::size_t columns) {
  const std::size_t n = std::min(columns, values.size());
  std::vector<double> means;
  for (std::size_t c = 0; c < n; ++c) {
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t i = c * values.size() / n; i < (c + 1) * values.size() / n; ++i) {
      if (!std::isfinite(values[i])) continue;
      sum += values[i];
      ++count;
    }
    means.push_back(count > 0 ? sum / static_cast<double>(count) : std::numeric_limits<double>::quiet_NaN());
  }
  return means;
}

std::string sparkline(const std::vector<double>& values, std::size_t columns) {
  constexpr std::string_view kBlocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const std::vector<double> means = condensed(values, columns);
  const Range r = range_of(means);
  std::string line;
  for (const double v : means) {
    if (!std::isfinite(v)) {
      line += ' ';
      continue;
    }
    const double share = r.high > r.low ? (v - r.low) / (r.high - r.low) : 0;
    line += kBlocks[static_cast<std::size_t>(std::lround(share * 7))];
  }
  return line;
}

std::vector<std::string> dot_plot(const std::vector<double>& ys, std::size_t width, std::size_t height) {
  constexpr std::size_t kLabel = 8;
  const std::size_t cells = std::max<std::size_t>(1, width > kLabel + 1 ? width - kLabel - 1 : 1), dots = 4 * height;
  const std::vector<double> points = condensed(ys, 2 * cells);
  const Range r = range_of(points);
  std::vector<std::vector<unsigned>> masks(height, std::vector<unsigned>(cells, 0));
  const auto row_of = [&](double v) {
    const double share = r.high > r.low ? (v - r.low) / (r.high - r.low) : 0.5;
    return dots - 1 - static_cast<std::size_t>(std::lround(share * static_cast<double>(dots - 1)));
  };
  // A short series is stretched over the width: dot column x shows the point at its share of the way.
  const std::size_t columns = points.size() < 2 ? points.size() : 2 * cells;
  std::size_t last = dots;
  for (std::size_t x = 0; x < columns; ++x) {
    const double v = points[columns < 2 ? 0 : x * (points.size() - 1) / (columns - 1)];
    if (!std::isfinite(v)) continue;
    const std::size_t y = row_of(v), from = last == dots ? y : std::min(y, last < y ? last + 1 : last),
                      to = last == dots ? y : std::max(y, last > y ? last - 1 : last);
    for (std::size_t d = from; d <= to; ++d) masks[d / 4][x / 2] |= kDots[x % 2][d % 4];
    last = y;
  }
  std::vector<std::string> lines;
  for (std::size_t row = 0; row < height; ++row) {
    std::string label;
    if (!r.empty() && row == 0) label = fmt::format("{:.4g}", r.high);
    if (!r.empty() && row + 1 == height && height > 1) label = fmt::format("{:.4g}", r.low);
    std::string line = fmt::format("{:>{}}{}", label, kLabel, label.empty() ? "│" : "┤");
    for (const unsigned mask : masks[row]) line += mask == 0 ? " " : braille(mask);
    lines.push_back(line);
  }
  return lines;
}

std::string bar(double share, std::size_t width) {
  constexpr std::string_view kParts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths =
      static_cast<std::size_t>(std::lround(std::clamp(share, 0.0, 1.0) * 8 * static_cast<double>(width)));
  std::string text;
  for (std::size_t i = 0; i < eighths / 8; ++i) text += "█";
  text += kParts[eighths % 8];
  return text + std::string(width - (eighths + 7) / 8, ' ');
}

std::size_t shown_width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string cut_to_width(const std::string& text, std::size_t width) {
  std::size_t at = 0, shown = 0;
  for (; at < text.size(); ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0xC0) != 0x80 && shown++ == width) break;
  }
  return text.substr(0, at);
}

}  // namespace hadal::report
