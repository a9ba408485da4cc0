// Plots and tables out of characters: what stands where, and that odd numbers break nothing.
#include "base/report/text_plot.h"

#include <gtest/gtest.h>

#include <cmath>
#include <iterator>
#include <sstream>

#include "base/report/table.h"

namespace hadal {
namespace {

TEST(TextPlot, SparklinesSpanTheirRange) {
  EXPECT_EQ(report::sparkline({0, 7, 3.5}, 10), "▁█▅");
  EXPECT_EQ(report::sparkline({2, 2}, 10), "▁▁");
  EXPECT_EQ(report::sparkline({1, std::nan(""), 2}, 10), "▁ █");
  EXPECT_EQ(report::sparkline({0, 2, 8, 6}, 2), "▁█") << "means of stretches";
  EXPECT_EQ(report::sparkline({}, 10), "");
}

// The texts of a line of labels.
std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  return {std::istream_iterator<std::string>(in), {}};
}

TEST(TextPlot, ACurveGoesFromTopToBottomOverRoundNumbers) {
  const report::Curve fall{"", {0, 1000, 2000, 3000}, {4, 3, 2, 1}};
  const auto lines = report::curve_plot({fall}, 34, 9, report::Mark::dots);
  ASSERT_EQ(lines.size(), 9u);
  EXPECT_EQ(lines[0].substr(0, 2), " 4") << "the greatest value has the first row";
  EXPECT_EQ(lines[6].substr(0, 2), " 1");
  EXPECT_NE(lines[0].find("⠉"), std::string::npos) << lines[0];
  std::size_t labels = 0;
  for (const std::string& line : lines) labels += line.find("┤") != std::string::npos ? 1 : 0;
  EXPECT_GE(labels, 3u);
  EXPECT_EQ(lines[7].substr(0, 5), "  └");
  EXPECT_EQ(words_of(lines[8]), (std::vector<std::string>{"0", "1000", "2000", "3000"}));
  for (const std::size_t width : {40u, 80u, 200u}) {
    for (const std::string& line : report::curve_plot({fall}, width, 12, report::Mark::dots))
      EXPECT_LE(report::shown_width(line), width) << line;
    EXPECT_GE(words_of(report::curve_plot({fall}, width, 12, report::Mark::dots).back()).size(), 3u);
  }
}

TEST(TextPlot, XIsWhereItIs) {
  // Nothing for three quarters of the way, then a rise: over steps of unequal length a curve by index would be wrong.
  const report::Curve late{"", {0, 75, 80, 85, 90, 95, 100}, {0, 0, 1, 2, 3, 4, 5}};
  const auto lines = report::curve_plot({late}, 42, 10, report::Mark::letters);
  const std::size_t first = lines[0].find('a'),
                    left = lines[0].find("│") == std::string::npos ? lines[0].find("┤") : lines[0].find("│");
  EXPECT_GT(first, left + 3 + 35);
  EXPECT_NE(lines[7].find("aaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), std::string::npos) << lines[7];
}

TEST(TextPlot, CurvesAreToldApartWithAndWithoutColours) {
  const std::vector<report::Curve> both = {{"up", {0, 1}, {0, 1}}, {"down", {0, 1}, {1, 0}}};
  std::string letters, colours;
  for (const std::string& line : report::curve_plot(both, 30, 9, report::Mark::letters)) letters += line;
  for (const std::string& line : report::curve_plot(both, 30, 9, report::Mark::colours)) colours += line;
  EXPECT_NE(letters.find('a'), std::string::npos);
  EXPECT_NE(letters.find('b'), std::string::npos);
  EXPECT_NE(letters.find('*'), std::string::npos) << "where they cross";
  EXPECT_EQ(letters.find('\033'), std::string::npos);
  EXPECT_NE(colours.find("\033[36m"), std::string::npos);
  EXPECT_NE(colours.find("\033[33m"), std::string::npos);
}

TEST(TextPlot, OddCurvesAreDrawnAllTheSame) {
  const double nan = std::nan("");
  for (const report::Curve& c : std::vector<report::Curve>{{"", {}, {}},
                                                           {"", {5}, {3}},
                                                           {"", {1, 2}, {nan, nan}},
                                                           {"", {nan, 1}, {1, nan}},
                                                           {"", {0, 0}, {1, 2}},
                                                           {"", {1, 2}, {7, 7}},
                                                           {"", {0, 1e18}, {1e-300, 1e300}},
                                                           {"", {1, 2}, {1e16, 1e16 + 2}}}) {
    for (const std::size_t width : {1u, 3u, 20u})
      EXPECT_EQ(report::curve_plot({c, c}, width, 6, report::Mark::letters).size(), 6u);
  }
}

TEST(TextPlot, EscapeCodesTakeNoRoom) {
  EXPECT_EQ(report::shown_width("a\033[36m⠈\033[0mb"), 3u);
  EXPECT_EQ(report::cut_to_width("a\033[36m⠈\033[0mb", 2), "a\033[36m⠈\033[0m");
  EXPECT_EQ(report::shortened("runs/demo/run", 8), "…emo/run");
  EXPECT_EQ(report::shortened("run", 8), "run");
}

TEST(TextTable, NumbersStandRightAndTextLeft) {
  for (const char* number : {"3", "-1.5e-3", "45 %", "1.2M", "3.1 ± 0.2", "4:10", "2.5 GiB", "99%"})
    EXPECT_TRUE(report::is_number(number)) << number;
  for (const char* text : {"", "x", "3 layers x 4", "f32", "a 3", "step 3", "1e"})
    EXPECT_FALSE(report::is_number(text)) << text;
  const report::Table table = {{"run", "loss", "name"}, {"a", "3.25", "one"}, {"bb", "13.5", "two"}, {"c", "-", ""}};
  EXPECT_EQ(report::text_table(table, 80),
            (std::vector<std::string>{"run  loss  name", "a    3.25  one", "bb   13.5  two", "c       -"}));
  const report::Table wide = {{"key", "value"}, {"data.train", "/a/very/long/path/to/shards"}};
  EXPECT_EQ(report::text_table(wide, 24)[1], "data.train  …h/to/shards");
}

TEST(TextTable, NothingIsLostOnANarrowTerminal) {
  const report::Table table = {{"run", "bits per byte", "time of the steps", "validation"},
                               {"a", "1.25", "0:07", "all 52 rows of validation"},
                               {"second", "11.5", "0:10", "first 8 rows"}};
  EXPECT_EQ(report::wrapped_table(table, 200), report::text_table(table, 200)) << "where there is room it is the same";
  EXPECT_EQ(report::wrapped_table(table, 41),
            (std::vector<std::string>{"               time", "        bits     of", "         per    the",
                                      "run     byte  steps  validation", "a       1.25   0:07  all 52 rows of",
                                      "                     validation", "second  11.5   0:10  first 8 rows"}))
      << "headers and texts are broken between words";
  EXPECT_EQ(
      report::wrapped_table(table, 24),
      (std::vector<std::string>{"          bits   time of", "           per       the", "run       byte     steps",
                                "a         1.25      0:07", "second    11.5      0:10", "", "run     validation",
                                "a       all 52 rows of", "        validation", "second  first 8 rows"}))
      << "columns that find no room follow below";
}

TEST(TextPlot, BarsFillInEighths) {
  EXPECT_EQ(report::bar(0.5, 4), "██  ");
  EXPECT_EQ(report::bar(1.0 / 16, 2), "▏ ");
  EXPECT_EQ(report::bar(2.0, 2), "██");
  EXPECT_EQ(report::bar(-1, 2), "  ");
}

}  // namespace
}  // namespace hadal
