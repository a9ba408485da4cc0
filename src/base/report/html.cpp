#include "base/report/html.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/file.h"

namespace hadal::report {

namespace {

constexpr double kWidth = 560, kHeight = 300, kLeft = 64, kRight = 16, kTop = 14, kBottom = 46;
constexpr const char* kColours[] = {"#1f6fb4", "#d9622b", "#2a9d57", "#8e5bb5",
                                    "#b3423f", "#7a6a58", "#c26aa8", "#5c7f8a"};
constexpr std::size_t kMostPoints = 600;

std::string tick(double v) {
  if (v == 0) return "0";
  const double size = std::abs(v);
  if (size >= 1e6) return fmt::format("{:.3g}M", v / 1e6);
  if (size >= 1e4) return fmt::format("{:.3g}k", v / 1e3);
  if (size < 1e-3) return fmt::format("{:.1e}", v);
  return fmt::format("{:.4g}", v);
}

// About five round numbers in [low, high].
std::vector<double> ticks(double low, double high) {
  const double raw = (high - low) / 5, power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = power;
  for (const double f : {1.0, 2.0, 5.0, 10.0}) {
    step = f * power;
    if (step >= raw) break;
  }
  std::vector<double> result;
  for (double v = std::ceil(low / step) * step; v <= high + step * 1e-9; v += step)
    result.push_back(std::abs(v) < step * 1e-9 ? 0 : v);
  return result;
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

struct Axes {
  Range x, y;
  bool log_y;
  double px(double v) const { return kLeft + (v - x.low) / (x.high - x.low) * (kWidth - kLeft - kRight); }
  double py(double v) const {
    const double w = log_y ? std::log10(v) : v;
    return kHeight - kBottom - (w - y.low) / (y.high - y.low) * (kHeight - kTop - kBottom);
  }
};

std::string text_at(double x, double y, const std::string& anchor, const std::string& text,
                    const std::string& more = "") {
  return fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='{}'{}>{}</text>", x, y, anchor, more, escape(text));
}

std::string draw_axes(const Axes& a, const std::string& x_label, const std::string& y_label) {
  std::string s;
  for (const double v : ticks(a.x.low, a.x.high)) {
    s += fmt::format("<line class='grid' x1='{0:.1f}' x2='{0:.1f}' y1='{1}' y2='{2}'/>", a.px(v), kTop,
                     kHeight - kBottom);
    s += text_at(a.px(v), kHeight - kBottom + 16, "middle", tick(v));
  }
  for (const double v : ticks(a.y.low, a.y.high)) {
    const double value = a.log_y ? std::pow(10.0, v) : v;
    s += fmt::format("<line class='grid' x1='{0}' x2='{1}' y1='{2:.1f}' y2='{2:.1f}'/>", kLeft, kWidth - kRight,
                     a.py(value));
    s += text_at(kLeft - 6, a.py(value) + 4, "end", tick(value));
  }
  s += text_at((kLeft + kWidth - kRight) / 2, kHeight - 10, "middle", x_label, " class='label'");
  s += fmt::format("<text class='label' transform='translate(14 {:.1f}) rotate(-90)' text-anchor='middle'>{}</text>",
                   (kTop + kHeight - kBottom) / 2, escape(y_label));
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

std::string draw_series(const Axes& a, const Series& s, const char* colour) {
  std::string points;
  for (const std::size_t i : thinned(s.ys)) {
    if (!std::isfinite(s.ys[i]) || (a.log_y && s.ys[i] <= 0)) continue;
    points += fmt::format("{:.1f},{:.1f} ", a.px(s.xs[i]), a.py(s.ys[i]));
  }
  const std::string last = s.ys.empty() ? "" : ", last " + tick(s.ys.back());
  std::string out =
      fmt::format("<polyline fill='none' stroke='{}' stroke-width='1.6' points='{}'><title>{}{}</title></polyline>",
                  colour, points, escape(s.name), last);
  if (s.ys.size() == 1)
    out += fmt::format("<circle r='3' fill='{}' cx='{:.1f}' cy='{:.1f}'/>", colour, a.px(s.xs[0]), a.py(s.ys[0]));
  return out;
}

std::string legend(const std::vector<Series>& series) {
  std::string s = "<div class='legend'>";
  for (std::size_t i = 0; i < series.size(); ++i) {
    const std::string last = series[i].ys.empty() ? "" : " " + tick(series[i].ys.back());
    s += fmt::format("<span><i style='background:{}'></i>{}<b>{}</b></span>", kColours[i % std::size(kColours)],
                     escape(series[i].name), last);
  }
  return s + "</div>";
}

// Blue below the centre, white at it, red above.
std::string colour_of(double v, double center, double low, double high) {
  const double t = v >= center ? (high > center ? (v - center) / (high - center) : 0)
                               : (low < center ? -(center - v) / (center - low) : 0);
  const double s = std::clamp(std::abs(t), 0.0, 1.0);
  const int far[2][3] = {{33, 102, 172}, {178, 60, 40}};
  const int* end = far[t > 0 ? 1 : 0];
  return fmt::format("rgb({},{},{})", static_cast<int>(250 + (end[0] - 250) * s),
                     static_cast<int>(250 + (end[1] - 250) * s), static_cast<int>(250 + (end[2] - 250) * s));
}

constexpr const char* kStyle =
    "body{font:15px/1.5 system-ui,sans-serif;color:#1c2430;background:#fbfbf9;max-width:1220px;margin:32px "
    "auto;padding:0 20px}"
    "h1{font-size:26px;margin-bottom:4px}h2{font-size:19px;margin:30px 0 8px;border-bottom:1px solid #ddd}"
    ".plots{display:flex;flex-wrap:wrap;gap:18px}figure{margin:0;background:#fff;border:1px solid "
    "#e3e3de;border-radius:6px;padding:10px 12px}"
    "figcaption{font-weight:600;margin-bottom:4px}svg text{font:11px system-ui,sans-serif;fill:#48525e}svg "
    ".label{font-size:12px;fill:#1c2430}"
    ".grid{stroke:#ececea}.legend{font-size:12px;display:flex;flex-wrap:wrap;gap:4px 14px;max-width:560px}.legend "
    "i{display:inline-block;width:14px;height:3px;margin:0 5px 3px 0}"
    ".legend b{font-weight:600}table{border-collapse:collapse;background:#fff}td,th{border:1px solid "
    "#e3e3de;padding:4px 12px;text-align:right}"
    "td:first-child,th:first-child{text-align:left}th{background:#f1f1ee}";

}  // namespace

std::string escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

HtmlReport::HtmlReport(std::string title) : title_(std::move(title)) {}

void HtmlReport::heading(const std::string& text) { body_ += "<h2>" + escape(text) + "</h2>\n"; }
void HtmlReport::paragraph(const std::string& text) { body_ += "<p>" + escape(text) + "</p>\n"; }

void HtmlReport::table(const std::vector<std::vector<std::string>>& rows) {
  body_ += "<table>";
  for (std::size_t r = 0; r < rows.size(); ++r) {
    body_ += "<tr>";
    for (const std::string& cell : rows[r]) body_ += fmt::format("<{0}>{1}</{0}>", r == 0 ? "th" : "td", escape(cell));
    body_ += "</tr>";
  }
  body_ += "</table>\n";
}

void HtmlReport::plot(const LinePlot& p) {
  Axes a{{}, {}, p.log_y};
  for (const Series& s : p.series) {
    for (const double x : s.xs) a.x.take(x);
    for (const double y : s.ys) {
      if (!p.log_y || y > 0) a.y.take(p.log_y ? std::log10(y) : y);
    }
  }
  a.x.widen();
  a.y.widen();
  const double margin = (a.y.high - a.y.low) * 0.04;
  a.y.low -= margin;
  a.y.high += margin;
  body_ += fmt::format("<figure><figcaption>{}</figcaption><svg width='{}' height='{}' role='img'>", escape(p.title),
                       kWidth, kHeight);
  body_ += draw_axes(a, p.x_label, p.y_label);
  for (std::size_t i = 0; i < p.series.size(); ++i)
    body_ += draw_series(a, p.series[i], kColours[i % std::size(kColours)]);
  body_ += "</svg>" + legend(p.series) + "</figure>\n";
}

void HtmlReport::heatmap(const Heatmap& m) {
  if (m.values.empty() || m.values[0].empty()) return;
  Range range;
  for (const auto& row : m.values) {
    for (const double v : row) range.take(v);
  }
  const std::size_t rows = m.values.size(), columns = m.values[0].size();
  const double w = (kWidth - kLeft - kRight) / static_cast<double>(columns),
               h = (kHeight - kTop - kBottom) / static_cast<double>(rows);
  body_ += fmt::format("<figure><figcaption>{}</figcaption><svg width='{}' height='{}' role='img'>", escape(m.title),
                       kWidth, kHeight);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      body_ += fmt::format(
          "<rect x='{:.1f}' y='{:.1f}' width='{:.2f}' height='{:.2f}' fill='{}'><title>{} {}: {:.3g}</title></rect>",
          kLeft + static_cast<double>(c) * w, kTop + static_cast<double>(r) * h, w + 0.3, h + 0.3,
          colour_of(m.values[r][c], m.center, range.low, range.high), escape(m.y_label), r, m.values[r][c]);
    }
    if (rows <= 16 || r % (rows / 8) == 0)
      body_ += text_at(kLeft - 6, kTop + (static_cast<double>(r) + 0.5) * h + 4, "end", std::to_string(r));
  }
  body_ += text_at(kLeft, kHeight - kBottom + 16, "start", tick(m.x_first)) +
           text_at(kWidth - kRight, kHeight - kBottom + 16, "end", tick(m.x_last));
  body_ += text_at((kLeft + kWidth - kRight) / 2, kHeight - 10, "middle", m.x_label, " class='label'");
  body_ +=
      fmt::format("<text class='label' transform='translate(14 {:.1f}) rotate(-90)' text-anchor='middle'>{}</text>",
                  (kTop + kHeight - kBottom) / 2, escape(m.y_label));
  body_ += fmt::format(
      "</svg><div class='legend'><span>least {}</span><span>white {}</span><span>most {}</span></div></figure>\n",
      tick(range.low), tick(m.center), tick(range.high));
}

std::string HtmlReport::html() const {
  // Neighbouring figures stand side by side.
  std::string body = body_;
  std::size_t at = 0;
  while ((at = body.find("<figure>", at)) != std::string::npos) {
    std::size_t end = body.find("</figure>\n", at) + 10;
    while (body.compare(end, 8, "<figure>") == 0) end = body.find("</figure>\n", end) + 10;
    body.insert(end, "</div>\n");
    body.insert(at, "<div class='plots'>");
    at = end + 26;
  }
  return "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' "
         "content='width=device-width'><title>" +
         escape(title_) + "</title><style>" + kStyle + "</style></head><body><h1>" + escape(title_) + "</h1>\n" + body +
         "</body></html>\n";
}

void HtmlReport::write(const std::filesystem::path& path) const { write_file_atomically(path, html()); }

}  // namespace hadal::report
