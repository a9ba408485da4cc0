#include "base/report/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/report/axis.h"

namespace hadal::report::detail {

namespace {

constexpr double kWidth = 560, kHeight = 300, kLeft = 66, kRight = 16, kTop = 12, kBottom = 46;
constexpr std::size_t kMostPoints = 600;

constexpr std::size_t kMinMarks = 3;

// Five or so where they are round, and three at least.
std::vector<double> enough_marks(double low, double high) {
  std::vector<double> marks;
  for (double about = 5; about < 20 && marks.size() < kMinMarks; about += 2) marks = round_marks(low, high, about);
  return marks;
}

// As many, but whole numbers.
std::vector<double> whole_marks(double low, double high) {
  std::vector<double> marks = enough_marks(low, high);
  std::erase_if(marks, [](double v) { return v != std::round(v); });
  return marks;
}

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void take(double v) {
    if (!std::isfinite(v)) return;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  void widen() {
    if (!(low <= high)) low = 0, high = 1;
    if (low == high) low -= std::abs(low) * 0.1 + 0.5, high += std::abs(high) * 0.1 + 0.5;
  }
};

struct Axis {
  Range range;  // of the logarithms, on a logarithmic axis
  bool log = false;
  double from = 0, to = 0;  // on the page
  bool whole = false;       // numbers are
  bool shows(double v) const { return std::isfinite(v) && (!log || v > 0); }
  void take(double v) {
    if (shows(v)) range.take(log ? std::log10(v) : v);
  }
  double at(double v) const {
    return from + ((log ? std::log10(v) : v) - range.low) / (range.high - range.low) * (to - from);
  }
  std::vector<double> marks() const {
    if (!log) return whole ? whole_marks(range.low, range.high) : enough_marks(range.low, range.high);
    // Powers of ten, else 1, 2 and 5 times these, else evenly spaced ones.
    std::vector<double> powers, values;
    for (double p = std::floor(range.low); p <= range.high; ++p) {
      for (const double f : {1.0, 2.0, 5.0}) {
        const double v = f * std::pow(10.0, p), l = std::log10(v);
        if (l < range.low || l > range.high) continue;
        if (f == 1.0) powers.push_back(v);
        values.push_back(v);
      }
    }
    if (powers.size() >= kMinMarks) return powers;
    if (values.size() >= kMinMarks) return values;
    std::vector<double> even = enough_marks(std::pow(10.0, range.low), std::pow(10.0, range.high));
    return even.size() > values.size() ? even : values;
  }
};

std::string text_at(double x, double y, const char* anchor, const std::string& text, const char* more = "") {
  return fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='{}'{}>{}</text>", x, y, anchor, more, escape(text));
}

std::string axis_labels(const std::string& x_label, const std::string& y_label) {
  return text_at((kLeft + kWidth - kRight) / 2, kHeight - 10, "middle", x_label, " class='label'") +
         fmt::format(
             "<text class='label side' transform='translate(14 {:.1f}) rotate(-90)' text-anchor='middle'>{}</text>",
             (kTop + kHeight - kBottom) / 2, escape(y_label));
}

std::string draw_axes(const Axis& x, const Axis& y) {
  std::string s;
  for (const double v : x.marks()) {
    s += fmt::format("<line class='grid' x1='{0:.1f}' x2='{0:.1f}' y1='{1}' y2='{2}'/>", x.at(v), kTop,
                     kHeight - kBottom);
    s += text_at(x.at(v), kHeight - kBottom + 16, "middle", tick(v));
  }
  for (const double v : y.marks()) {
    s += fmt::format("<line class='grid' x1='{0}' x2='{1}' y1='{2:.1f}' y2='{2:.1f}'/>", kLeft, kWidth - kRight,
                     y.at(v));
    s += text_at(kLeft - 6, y.at(v) + 4, "end", tick(v));
  }
  return s;
}

// A long series is thinned to the extremes of each stretch, so that spikes stay visible.
std::vector<std::size_t> thinned(const std::vector<double>& ys) {
  std::vector<std::size_t> keep;
  if (ys.size() <= kMostPoints) {
    for (std::size_t i = 0; i < ys.size(); ++i) keep.push_back(i);
    return keep;
  }
  const std::size_t stretches = kMostPoints / 2;
  for (std::size_t b = 0; b < stretches; ++b) {
    const std::size_t first = b * ys.size() / stretches, last = (b + 1) * ys.size() / stretches;
    const auto [low, high] = std::minmax_element(ys.begin() + static_cast<std::ptrdiff_t>(first),
                                                 ys.begin() + static_cast<std::ptrdiff_t>(last));
    const auto i = static_cast<std::size_t>(low - ys.begin()), j = static_cast<std::size_t>(high - ys.begin());
    keep.push_back(std::min(i, j));
    if (i != j) keep.push_back(std::max(i, j));
  }
  return keep;
}

// Mean over a window of a fiftieth of the series, centred; of the logarithms on a logarithmic axis.
std::vector<double> smoothed(const std::vector<double>& ys, bool log) {
  const std::size_t half = ys.size() / 100;
  std::vector<double> out;
  for (std::size_t i = 0; i < ys.size(); ++i) {
    const std::size_t first = i > half ? i - half : 0, last = std::min(ys.size(), i + half + 1);
    double sum = 0;
    std::size_t n = 0;
    for (std::size_t j = first; j < last; ++j) {
      if (!std::isfinite(ys[j]) || (log && ys[j] <= 0)) continue;
      sum += log ? std::log(ys[j]) : ys[j];
      ++n;
    }
    const double mean = n > 0 ? sum / static_cast<double>(n) : std::numeric_limits<double>::quiet_NaN();
    out.push_back(log ? std::exp(mean) : mean);
  }
  return out;
}

std::string polyline(const Axis& x, const Axis& y, const std::vector<double>& xs, const std::vector<double>& ys,
                     std::size_t colour, const char* kind) {
  std::string points;
  for (const std::size_t i : thinned(ys)) {
    if (x.shows(xs[i]) && y.shows(ys[i])) points += fmt::format("{:.1f},{:.1f} ", x.at(xs[i]), y.at(ys[i]));
  }
  return fmt::format("<polyline class='line c{} {}' points='{}'/>", colour, kind, points);
}

std::size_t colour_of(const std::vector<Series>& all, std::size_t i) {
  return (all[i].colour < 0 ? i : static_cast<std::size_t>(all[i].colour)) % kColours;
}

std::string draw_series(const Axis& x, const Axis& y, const Series& s, std::size_t colour) {
  std::string out;
  const bool smooth = s.smooth && s.ys.size() >= kMinSmooth;
  if (s.line) out += polyline(x, y, s.xs, s.ys, colour, smooth ? "faint" : "");
  if (smooth) out += polyline(x, y, s.xs, smoothed(s.ys, y.log), colour, "");
  for (std::size_t i = 0; i < s.ys.size() && (s.dots || s.diamonds || s.ys.size() == 1); ++i) {
    if (!x.shows(s.xs[i]) || !y.shows(s.ys[i])) continue;
    if (s.diamonds) {
      out += fmt::format("<path class='c{} mark' d='M{:.1f} {:.1f}l6 6l-6 6l-6 -6z'/>", colour, x.at(s.xs[i]),
                         y.at(s.ys[i]) - 6);
    } else {
      out += fmt::format("<circle class='c{}' r='3.2' cx='{:.1f}' cy='{:.1f}'/>", colour, x.at(s.xs[i]), y.at(s.ys[i]));
    }
  }
  return out;
}

std::string legend(const std::vector<Series>& series) {
  std::string s = "<div class='legend'>";
  for (std::size_t i = 0; i < series.size(); ++i) {
    const std::string last = series[i].ys.empty() ? "" : tick(series[i].ys.back());
    s += fmt::format("<span><i class='c{}{}'></i>{} <b>{}</b></span>", colour_of(series, i),
                     series[i].diamonds ? " diamond" : "", escape(series[i].name), last);
  }
  const bool curves = std::any_of(series.begin(), series.end(), [](const Series& x) { return x.line && x.smooth; });
  return s + (curves ? "<span>(the last step)</span></div>" : "</div>");
}

std::string json_numbers(const std::vector<double>& values, const std::vector<std::size_t>& at) {
  std::string s = "[";
  for (const std::size_t i : at)
    s += (s.size() > 1 ? "," : "") + (std::isfinite(values[i]) ? fmt::format("{:.5g}", values[i]) : "null");
  return s + "]";
}

std::string json_text(const std::string& text) {
  std::string s = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') s += '\\';
    s += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return s + "\"";
}

// What the script needs to show values: the axis and the points that are drawn.
std::string data_of(const LinePlot& p, const Axis& x) {
  std::string series;
  for (const Series& s : p.series) {
    const std::vector<std::size_t> at = thinned(s.ys);
    series += fmt::format("{}{{\"n\":{},\"x\":{},\"y\":{}}}", series.empty() ? "" : ",", json_text(s.name),
                          json_numbers(s.xs, at), json_numbers(s.ys, at));
  }
  return fmt::format("{{\"l\":{},\"a\":{},\"b\":{},\"low\":{},\"high\":{},\"log\":{},\"s\":[{}]}}",
                     json_text(p.x_label), kLeft, kWidth - kRight, x.range.low, x.range.high, x.log ? 1 : 0, series);
}

struct Figure {
  std::string title, y_label, data, svg, below, note;
};

// On a narrow screen, where the label beside the axis has no room, it stands behind the title.
std::string figure(const Figure& f) {
  return fmt::format(
      "<figure data-p='{}'><figcaption>{}{}</figcaption><svg viewBox='0 0 {} {}' role='img' aria-label='{}'>{}</svg>{}"
      "{}</figure>\n",
      escape(f.data), escape(f.title), f.y_label.empty() ? "" : "<span class='y'>" + escape(f.y_label) + "</span>",
      kWidth, kHeight, escape(f.title), f.svg, f.below,
      f.note.empty() ? "" : "<p class='note'>" + escape(f.note) + "</p>");
}

double greatest(const Heatmap& m) {
  Range r;
  for (const auto& row : m.values) {
    for (const double v : row) r.take(v);
  }
  return r.high > 0 ? r.high : 1;
}

int heat_level(const Heatmap& m, double v, double most) {
  if (!std::isfinite(v)) return 0;
  // Two doublings to each side; an expert without any token is as far down as it goes.
  const double t = m.scale == Heatmap::Scale::ratio ? std::log2(std::max(v, 1e-9)) / 2 : v / most;
  return static_cast<int>(std::lround(std::clamp(t, -1.0, 1.0) * kHeatLevels));
}

// One path a colour: thousands of cells stay small.
std::string draw_cells(const Heatmap& m, double w, double h, double most) {
  std::vector<std::string> paths(2 * kHeatLevels + 1);
  for (std::size_t r = 0; r < m.values.size(); ++r) {
    for (std::size_t c = 0; c < m.values[r].size(); ++c) {
      const int path = heat_level(m, m.values[r][c], most) + kHeatLevels;
      paths[static_cast<std::size_t>(path)] +=
          fmt::format("M{:.1f} {:.1f}h{:.2f}v{:.2f}h-{:.2f}z", kLeft + static_cast<double>(c) * w,
                      kTop + static_cast<double>(r) * h, w + 0.25, h + 0.25, w + 0.25);
    }
  }
  std::string s;
  int level = -kHeatLevels;
  for (const std::string& path : paths) {
    if (!path.empty()) s += fmt::format("<path class='h{}' d='{}'/>", level, path);
    ++level;
  }
  return s;
}

std::string heat_names(const Heatmap& m, double w, double h) {
  std::string s;
  const std::size_t rows = m.values.size(), columns = m.values[0].size(), every = (rows + 15) / 16;
  for (std::size_t r = 0; r < rows; r += every) {
    s += text_at(kLeft - 6, kTop + (static_cast<double>(r) + 0.5) * h + 4, "end",
                 r < m.rows.size() ? m.rows[r] : std::to_string(r));
  }
  if (!m.columns.empty()) {
    for (std::size_t c = 0; c < std::min(columns, m.columns.size()); ++c)
      s += text_at(kLeft + (static_cast<double>(c) + 0.5) * w, kHeight - kBottom + 16, "middle", m.columns[c]);
    return s;
  }
  Axis x{{m.x_first, m.x_last}, false, kLeft, kWidth - kRight};
  x.range.widen();
  for (const double v : x.marks()) s += text_at(x.at(v), kHeight - kBottom + 16, "middle", tick(v));
  return s;
}

std::string heat_legend(const Heatmap& m, double most) {
  std::string s = "<div class='legend scale'>";
  const bool ratio = m.scale == Heatmap::Scale::ratio;
  s += ratio ? "<span>¼ ×</span>" : "<span>0</span>";
  s += "<span class='steps'>";
  for (int level = ratio ? -kHeatLevels : 0; level <= kHeatLevels; level += ratio ? 2 : 1)
    s += fmt::format("<i class='h{}'></i>", level);
  return s +
         (ratio ? "</span><span>4 × the mean</span></div>" : fmt::format("</span><span>{}</span></div>", tick(most)));
}

std::string data_of(const Heatmap& m) {
  std::string rows, names, columns;
  for (const auto& row : m.values) {
    std::string cells;
    for (const double v : row)
      cells += (cells.empty() ? "" : ",") + (std::isfinite(v) ? fmt::format("{:.3g}", v) : "null");
    rows += (rows.empty() ? "[" : ",[") + cells + "]";
  }
  for (const std::string& n : m.rows) names += (names.empty() ? "" : ",") + json_text(n);
  for (const std::string& n : m.columns) columns += (columns.empty() ? "" : ",") + json_text(n);
  return fmt::format(
      "{{\"h\":1,\"l\":{},\"yl\":{},\"a\":{},\"b\":{},\"t\":{},\"u\":{},\"low\":{},\"high\":{},\"r\":[{}],\"c\":[{}],"
      "\"v\":[{}]}}",
      json_text(m.x_label), json_text(m.y_label), kLeft, kWidth - kRight, kTop, kHeight - kBottom, m.x_first, m.x_last,
      names, columns, rows);
}

}  // namespace

std::string figure_of(const LinePlot& p) {
  Axis x{{}, p.log_x, kLeft, kWidth - kRight}, y{{}, p.log_y, kHeight - kBottom, kTop};
  for (const Series& s : p.series) {
    for (const double v : s.xs) x.take(v);
    for (const double v : s.ys) y.take(v);
  }
  if (p.from_zero && !p.log_y) y.range.take(0);
  x.range.widen();
  y.range.widen();
  const double margin = (y.range.high - y.range.low) * 0.04;
  if (!(p.from_zero && y.range.low == 0)) y.range.low -= margin;
  y.range.high += margin;
  x.whole = p.whole_x;
  if (p.log_x) x.range.low -= 0.08, x.range.high += 0.08;
  std::string svg = draw_axes(x, y) + axis_labels(p.x_label, p.y_label);
  for (std::size_t i = 0; i < p.series.size(); ++i) svg += draw_series(x, y, p.series[i], colour_of(p.series, i));
  svg += fmt::format("<line class='cursor' y1='{}' y2='{}'/>", kTop, kHeight - kBottom);
  return figure({p.title, p.y_label, data_of(p, x), svg, legend(p.series), p.note});
}

std::string figure_of(const Heatmap& m) {
  if (m.values.empty() || m.values[0].empty()) return "";
  const double w = (kWidth - kLeft - kRight) / static_cast<double>(m.values[0].size()),
               h = (kHeight - kTop - kBottom) / static_cast<double>(m.values.size());
  const double most = greatest(m);
  return figure({m.title, m.y_label, data_of(m),
                 draw_cells(m, w, h, most) + heat_names(m, w, h) + axis_labels(m.x_label, m.y_label),
                 heat_legend(m, most), m.note});
}

}  // namespace hadal::report::detail
