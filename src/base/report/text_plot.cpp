#include "base/report/text_plot.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include "base/report/axis.h"

namespace hadal::report {

namespace {

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  bool empty() const { return !(low <= high); }
};

Range joined(const Range& a, const Range& b) { return {std::min(a.low, b.low), std::max(a.high, b.high)}; }

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

namespace {

constexpr std::size_t kNothing = static_cast<std::size_t>(-1), kSeveral = static_cast<std::size_t>(-2);
constexpr int kColours[] = {36, 33, 35, 32, 34, 31};

struct Canvas {
  Canvas(std::size_t rows, std::size_t columns)
      : masks(rows, std::vector<unsigned>(columns, 0)), owners(rows, std::vector<std::size_t>(columns, kNothing)) {}
  std::size_t rows() const { return masks.size(); }
  void dot(std::size_t x, std::size_t y, std::size_t curve) {
    masks[y / 4][x / 2] |= kDots[x % 2][y % 4];
    std::size_t& owner = owners[y / 4][x / 2];
    owner = owner == kNothing || owner == curve ? curve : kSeveral;
  }
  std::vector<std::vector<unsigned>> masks;
  std::vector<std::vector<std::size_t>> owners;  // curve of a cell
};

// Means of the points that fall on each of `columns`, between them straight lines; NaN outside of the curve.
std::vector<double> columns_of(const Curve& curve, const Range& x, std::size_t columns) {
  std::vector<double> sums(columns, 0), counts(columns, 0);
  for (std::size_t i = 0; i < std::min(curve.xs.size(), curve.ys.size()); ++i) {
    if (!std::isfinite(curve.xs[i]) || !std::isfinite(curve.ys[i])) continue;
    const double share = x.high > x.low ? (curve.xs[i] - x.low) / (x.high - x.low) : 0;
    const auto c = static_cast<std::size_t>(std::lround(share * static_cast<double>(columns - 1)));
    sums[c] += curve.ys[i];
    counts[c] += 1;
  }
  std::vector<double> ys(columns, std::numeric_limits<double>::quiet_NaN());
  std::size_t last = kNothing;
  for (std::size_t c = 0; c < columns; ++c) {
    if (counts[c] == 0) continue;
    ys[c] = sums[c] / counts[c];
    for (std::size_t i = last == kNothing ? c : last + 1; i < c; ++i)
      ys[i] = ys[last] + (ys[c] - ys[last]) * static_cast<double>(i - last) / static_cast<double>(c - last);
    last = c;
  }
  return ys;
}

std::size_t dot_row(double v, const Range& y, std::size_t dots) {
  const double share = y.high > y.low ? (v - y.low) / (y.high - y.low) : 0.5;
  return dots - 1 - static_cast<std::size_t>(std::lround(std::clamp(share, 0.0, 1.0) * static_cast<double>(dots - 1)));
}

void draw(Canvas& canvas, const std::vector<double>& ys, const Range& y, std::size_t curve) {
  const std::size_t dots = 4 * canvas.rows();
  std::size_t last = kNothing;
  for (std::size_t x = 0; x < ys.size(); ++x) {
    if (!std::isfinite(ys[x])) continue;
    const std::size_t now = dot_row(ys[x], y, dots);
    const std::size_t from = last == kNothing ? now : std::min(now, last < now ? last + 1 : last),
                      to = last == kNothing ? now : std::max(now, last > now ? last - 1 : last);
    for (std::size_t d = from; d <= to; ++d) canvas.dot(x, d, curve);
    last = now;
  }
}

std::string cell_of(const Canvas& canvas, std::size_t row, std::size_t column, Mark mark) {
  const std::size_t owner = canvas.owners[row][column];
  if (owner == kNothing) return " ";
  if (mark == Mark::letters) return owner == kSeveral ? "*" : std::string(1, static_cast<char>('a' + owner % 26));
  const std::string dots = braille(canvas.masks[row][column]);
  if (mark == Mark::dots || owner == kSeveral) return dots;
  return fmt::format("\033[{}m{}\033[0m", kColours[owner % std::size(kColours)], dots);
}

// Texts at round numbers, one per row at most; empty elsewhere.
std::vector<std::string> row_labels(const Range& y, std::size_t rows) {
  std::vector<std::string> labels(rows);
  if (y.empty()) return labels;
  if (!(y.high > y.low)) {
    labels[rows / 2] = tick(y.low);
    return labels;
  }
  // Three at least, where there are so many rows.
  std::vector<double> marks;
  for (double about = std::max(2.0, static_cast<double>(rows) / 2);
       marks.size() < std::min<std::size_t>(3, rows) && about < 50; about *= 1.5)
    marks = round_marks(y.low, y.high, about);
  for (const double m : marks) {
    std::string& label = labels[dot_row(m, y, 4 * rows) / 4];
    if (label.empty()) label = tick(m);
  }
  return labels;
}

// The line that carries the frame's corner, and that of the texts.
std::pair<std::string, std::string> x_axis(const Range& x, std::size_t left, std::size_t cells) {
  std::vector<bool> marked(cells, false);
  std::string texts(left + 1 + cells, ' ');
  std::vector<double> marks;
  if (!x.empty()) {
    for (double about = std::max(2.0, static_cast<double>(cells) / 16); marks.size() < 3 && about < 20; about *= 1.5)
      marks = round_marks(x.low, x.high, about);
    if (marks.empty()) marks = {x.low};
  }
  std::size_t free = 0;
  for (const double m : marks) {
    const double share = x.high > x.low ? (m - x.low) / (x.high - x.low) : 0;
    const auto cell = static_cast<std::size_t>(std::lround(share * static_cast<double>(cells - 1)));
    const std::string text = tick(m);
    std::size_t at = left + 1 + cell;
    at -= std::min(at, text.size() / 2);
    at = std::min(at, texts.size() - std::min(texts.size(), text.size()));
    marked[cell] = true;
    if (at < free || at + text.size() > texts.size()) continue;
    texts.replace(at, text.size(), text);
    free = at + text.size() + 2;
  }
  std::string line = std::string(left, ' ') + "└";
  for (const bool m : marked) line += m ? "┴" : "─";
  texts.erase(texts.find_last_not_of(' ') + 1);
  return {line, texts};
}

}  // namespace

std::vector<std::string> curve_plot(const std::vector<Curve>& curves, std::size_t width, std::size_t height,
                                    Mark mark) {
  Range x, y;
  for (const Curve& c : curves) x = joined(x, range_of(c.xs));
  // From nothing, where that costs little: runs of one length then have one axis.
  if (!x.empty() && x.low > 0 && x.low < 0.1 * x.high) x.low = 0;
  const std::size_t rows = height > 2 ? height - 2 : 1;
  std::vector<std::vector<double>> all;
  std::vector<std::string> labels;
  std::size_t left = 0, cells = 1;
  // Labels take columns, columns decide what the means are, and these what the labels say: twice is enough.
  for (int round = 0; round < 2; ++round) {
    cells = width > left + 2 ? width - left - 1 : 1;
    all.clear();
    y = {};
    for (const Curve& c : curves) {
      all.push_back(columns_of(c, x, 2 * cells));
      y = joined(y, range_of(all.back()));
    }
    labels = row_labels(y, rows);
    left = 0;
    for (const std::string& label : labels) left = std::max(left, label.size() + 1);
  }
  cells = width > left + 2 ? width - left - 1 : 1;
  Canvas canvas(rows, cells);
  for (std::size_t i = 0; i < curves.size(); ++i) draw(canvas, columns_of(curves[i], x, 2 * cells), y, i);
  std::vector<std::string> lines;
  for (std::size_t row = 0; row < rows; ++row) {
    std::string line = fmt::format("{:>{}}{}", labels[row], left, labels[row].empty() ? "│" : "┤");
    for (std::size_t column = 0; column < cells; ++column) line += cell_of(canvas, row, column, mark);
    lines.push_back(line);
  }
  if (height > 2) {
    const auto [axis, texts] = x_axis(x, left, cells);
    lines.push_back(axis);
    lines.push_back(texts);
  }
  return lines;
}

std::string curve_key(std::size_t i, Mark mark) {
  const std::string letter(1, static_cast<char>('a' + i % 26));
  if (mark != Mark::colours) return letter;
  return fmt::format("\033[{}m{}\033[0m", kColours[i % std::size(kColours)], letter);
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

namespace {

// Where the character at `at` ends, and whether it takes room.
std::pair<std::size_t, bool> character_at(const std::string& text, std::size_t at) {
  if (text.compare(at, 2, "\033[") == 0) {
    const std::size_t end = text.find('m', at);
    return {end == std::string::npos ? text.size() : end + 1, false};
  }
  std::size_t end = at + 1;
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
  return {end, true};
}

}  // namespace

std::size_t shown_width(const std::string& text) {
  std::size_t width = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto [end, shown] = character_at(text, at);
    width += shown ? 1 : 0;
    at = end;
  }
  return width;
}

std::string cut_to_width(const std::string& text, std::size_t width) {
  std::string kept;
  std::size_t used = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto [end, shown] = character_at(text, at);
    if (!shown || used < width) kept.append(text, at, end - at);
    used += shown ? 1 : 0;
    at = end;
  }
  return kept;
}

std::string shortened(const std::string& text, std::size_t width) {
  std::size_t shown = shown_width(text), at = 0;
  if (shown <= width || width == 0) return cut_to_width(text, width);
  for (; shown > width - 1; --shown) at = character_at(text, at).first;
  return "…" + text.substr(at);
}

}  // namespace hadal::report
