// Self-contained HTML reports: facts, tables, line plots and heatmaps as inline SVG, in a light and a dark dress. No
// network; the script only shows values under the pointer and is not needed to read the page.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/report/table.h"

namespace hadal::report {

inline constexpr std::size_t kMinSmooth = 100;  // points from which on a running mean is drawn

struct Series {
  std::string name;
  std::vector<double> xs, ys;
  bool smooth = false;  // a running mean on top, the values themselves faint behind it, if there are enough
  bool dots = false;    // a mark at every point: for a few measurements
  bool line = true;
  bool diamonds = false;  // larger marks: figures of another kind than those on the line
  int colour = -1;        // number of the colour; -1: its place among the series
};

struct LinePlot {
  std::string title, x_label, y_label;
  std::vector<Series> series;
  bool log_y = false, log_x = false;
  bool from_zero = false;  // the y axis begins at zero
  bool whole_x = false;    // x counts something: the numbers at its axis are whole
  std::string note;        // a sentence under the plot
};

// values[row][column]; rows from the top.
struct Heatmap {
  std::string title, x_label, y_label;
  std::vector<std::vector<double>> values;
  double x_first = 0, x_last = 0;          // what the first and last column stand for, where columns have no names
  std::vector<std::string> rows, columns;  // names; empty: numbers of rows, x_first to x_last
  // ratio: values are multiples of a mean, coloured by their logarithm from a quarter to four times, 1 is neutral.
  // level: from 0 to the greatest value.
  enum class Scale { ratio, level } scale = Scale::ratio;
  std::string note;
};

class HtmlReport {
 public:
  explicit HtmlReport(std::string title, std::string subtitle = "");
  void heading(const std::string& text);
  void paragraph(const std::string& text);
  // What matters most, as cards. meaning: shown under the pointer.
  struct Fact {
    std::string name, value, meaning = {};
  };
  void facts(const std::vector<Fact>& facts);
  // Columns of numbers stand right, their digits below each other; text stands left.
  void table(const Table& table);
  // Words and what they mean, folded away under a title.
  void glossary(const std::string& title, const std::vector<std::pair<std::string, std::string>>& words);
  // Text as a model wrote it: what it was given, and how it went on.
  void quote(const std::string& given, const std::string& written);
  // Text as it is, folded away under a title.
  void folded(const std::string& title, const std::string& text);
  // Neighbouring plots and heatmaps stand side by side.
  void plot(const LinePlot& plot);
  void heatmap(const Heatmap& map);
  std::string html() const;
  void write(const std::filesystem::path& path) const;

 private:
  void figure(const std::string& content);
  void close_figures();
  std::string title_, subtitle_, body_;
  bool in_figures_ = false;
};

std::string escape(const std::string& text);

}  // namespace hadal::report
