// Self-contained HTML reports: text, tables, line plots and heatmaps as inline SVG. No network, no script needed to
// read it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hadal::report {

struct Series {
  std::string name;
  std::vector<double> xs, ys;
};

struct LinePlot {
  std::string title, x_label, y_label;
  std::vector<Series> series;
  bool log_y = false;
};

// values[row][column]; rows from the top, columns along x_ticks.
struct Heatmap {
  std::string title, x_label, y_label;
  std::vector<std::vector<double>> values;
  double x_first = 0, x_last = 0;  // what the first and last column stand for
  double center = 0;               // value of the neutral colour
};

class HtmlReport {
 public:
  explicit HtmlReport(std::string title);
  void heading(const std::string& text);
  void paragraph(const std::string& text);
  // First row is the header.
  void table(const std::vector<std::vector<std::string>>& rows);
  void plot(const LinePlot& plot);
  void heatmap(const Heatmap& map);
  std::string html() const;
  void write(const std::filesystem::path& path) const;

 private:
  std::string title_, body_;
};

std::string escape(const std::string& text);

}  // namespace hadal::report
