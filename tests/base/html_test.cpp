// Report pages: self-contained, escaped, and drawn where the numbers say.
#include "base/report/html.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace hadal::report {
namespace {

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size())) ++n;
  return n;
}

TEST(Html, StandsAlone) {
  HtmlReport r("a <title>", "b & c");
  r.heading("one");
  r.plot({"p", "x", "y", {{"s", {1, 2}, {3, 4}}}});
  r.facts({{"name", "<value>"}});
  r.folded("more", "a < b");
  const std::string page = r.html();
  for (const char* outside : {"http:", "https:", "src=", "@import", "url(", "<link"})
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  EXPECT_NE(page.find("<h1>a &lt;title&gt;</h1>"), std::string::npos);
  EXPECT_NE(page.find("&lt;value&gt;"), std::string::npos);
  EXPECT_NE(page.find("prefers-color-scheme:dark"), std::string::npos);
  EXPECT_EQ(count(page, "<div"), count(page, "</div>"));
}

TEST(Html, ColumnsOfNumbersAreAlignedAsNumbers) {
  HtmlReport r("t");
  r.table({{"name", "loss", "rows"}, {"a", "3.25", "8 rows x 4"}, {"b", "-", "16"}});
  const std::string page = r.html();
  EXPECT_NE(page.find("<th class='n'>loss</th>"), std::string::npos);
  EXPECT_NE(page.find("<td class='n'>3.25</td>"), std::string::npos);
  EXPECT_NE(page.find("<td class='n'>-</td>"), std::string::npos);
  EXPECT_NE(page.find("<td>8 rows x 4</td>"), std::string::npos);
  EXPECT_NE(page.find("<td>16</td>"), std::string::npos) << "a column with text is text";
  EXPECT_NE(page.find(".n{text-align:right"), std::string::npos);
  EXPECT_NE(page.find("tabular-nums"), std::string::npos);
}

TEST(Html, AxesHaveThreeNumbersAtLeast) {
  for (const bool log : {false, true}) {
    for (double low = 1.01; low < 10; low *= 1.3) {
      for (const double factor : {1.02, 1.3, 1.9, 3.0, 6.1, 20.0}) {
        LinePlot plot{"p", "", "", {{"s", {low, low * factor}, {low, low * factor}}}};
        plot.log_x = plot.log_y = log;
        HtmlReport r("t");
        r.plot(plot);
        const std::string page = r.html();
        EXPECT_GE(count(page, "text-anchor='end'"), 3u) << "y, " << low << " to " << low * factor << ", " << log;
        EXPECT_GE(count(page, "text-anchor='middle'"), 3u + 2u) << "x and the two names of axes";
      }
    }
  }
}

TEST(Html, WhatIsCountedHasWholeNumbersAtItsAxis) {
  LinePlot plot{"p", "MoE layer", "", {{"s", {1, 2}, {0.5, 0.75}}}};
  plot.whole_x = true;
  HtmlReport r("t");
  r.plot(plot);
  const std::string page = r.html();
  EXPECT_NE(page.find("'middle'>1</text>"), std::string::npos);
  EXPECT_NE(page.find("'middle'>2</text>"), std::string::npos);
  EXPECT_EQ(page.find("'middle'>1."), std::string::npos);
}

TEST(Html, NarrowScreensHaveRoomForNumbersAndLabels) {
  HtmlReport r("t");
  LinePlot plot{"title", "tokens", "nats", {{"s", {1, 2}, {3, 4}}}};
  plot.series[0].smooth = true;
  r.plot(plot);
  const std::string text(70, 'x');
  r.table({{"run", "where"}, {"a name", text}});
  const std::string page = r.html();
  // Beside the axis on a wide screen, behind the title on a narrow one.
  EXPECT_EQ(count(page, "class='label side'"), 1u);
  EXPECT_NE(page.find("title<span class='y'>nats</span></figcaption>"), std::string::npos);
  const std::size_t narrow = page.find("@media (max-width:600px)");
  ASSERT_NE(narrow, std::string::npos);
  EXPECT_NE(page.find(".side{display:none}", narrow), std::string::npos);
  EXPECT_NE(page.find("overflow:visible"), std::string::npos) << "labels at the edges are whole";
  EXPECT_NE(page.find("<td class='long'>" + text), std::string::npos) << "only long texts are broken into lines";
  EXPECT_NE(page.find("<td>a name</td>"), std::string::npos);
  EXPECT_NE(page.find("<b>4</b></span><span>(the last step)</span>"), std::string::npos);
}

TEST(Html, FiguresOfAnotherKindAreDiamondsOnTheChart) {
  HtmlReport r("t");
  Series whole{"whole", {1, 2}, {3, 4}};
  whole.diamonds = true;
  whole.line = false;
  whole.colour = 5;
  r.plot({"p", "x", "y", {{"s", {1, 2}, {3, 4}}, whole}});
  const std::string page = r.html();
  EXPECT_EQ(count(page, "<path class='c5 mark'"), 2u);
  EXPECT_EQ(count(page, "<polyline"), 1u);
  EXPECT_EQ(count(page, "<i class='c5 diamond'>"), 1u);
}

TEST(Html, WordsAndTextsAreEscaped) {
  HtmlReport r("t");
  r.glossary("words", {{"a<b", "c&d"}});
  r.quote("<i>", "x < y");
  r.facts({{"name", "value", "it's"}});
  const std::string page = r.html();
  EXPECT_NE(page.find("<dt>a&lt;b</dt><dd>c&amp;d</dd>"), std::string::npos);
  EXPECT_NE(page.find("<b>&lt;i&gt;</b>x &lt; y"), std::string::npos);
  EXPECT_NE(page.find("title='it&#39;s'"), std::string::npos);
}

TEST(Html, NeighbouringFiguresShareAGrid) {
  HtmlReport r("t");
  const LinePlot p{"p", "x", "y", {{"s", {1, 2}, {3, 4}}}};
  r.plot(p);
  r.plot(p);
  r.heading("next");
  r.plot(p);
  EXPECT_EQ(count(r.html(), "<div class='plots'>"), 2u);
}

TEST(Html, CurvesRunFromEdgeToEdge) {
  HtmlReport r("t");
  LinePlot p{"p", "x", "y", {{"s", {10, 30}, {0, 100}}}};
  p.from_zero = true;
  r.plot(p);
  const std::string page = r.html();
  // x from 66 to 544, y from 254 (zero) up; 4 % of room above the greatest value.
  EXPECT_NE(page.find("points='66.0,254.0 544.0,21.3 '"), std::string::npos)
      << page.substr(page.find("<polyline"), 120);
}

TEST(Html, LogarithmicAxesLeaveOutWhatTheyCannotShow) {
  HtmlReport r("t");
  r.plot({"p", "x", "y", {{"s", {1, 2, 3, 4}, {0, 1, 100, std::nan("")}}}, true});
  const std::string page = r.html(), line = page.substr(page.find("points='"), 60);
  EXPECT_EQ(count(line.substr(0, line.find('/')), ","), 2u) << line;
}

TEST(Html, HeatmapsColourRatiosByTheirLogarithm) {
  HtmlReport r("t");
  Heatmap m;
  m.values = {{1.0, 2.0, 4.0}, {0.5, 0.0, 9.0}};
  m.rows = {"code", "prose"};
  r.heatmap(m);
  const std::string page = r.html();
  EXPECT_EQ(count(page, "<path class='h0'"), 1u) << "1: neutral";
  EXPECT_EQ(count(page, "<path class='h4'"), 1u) << "2: half way";
  EXPECT_EQ(count(page, "<path class='h-4'"), 1u) << "a half";
  const std::string most = page.substr(page.find("<path class='h8'"));
  EXPECT_EQ(count(most.substr(0, most.find("/>")), "M"), 2u) << "4 and 9: both at the end";
  EXPECT_EQ(count(page, "<path class='h-8'"), 1u) << "nothing at all";
  EXPECT_NE(page.find(">code</text>"), std::string::npos);
}

TEST(Html, SpikesOfLongSeriesStay) {
  HtmlReport r("t");
  Series s{"s", {}, {}};
  for (int i = 0; i < 100000; ++i) {
    s.xs.push_back(i);
    s.ys.push_back(i == 54321 ? 777 : 0);
  }
  r.plot({"p", "x", "y", {s}});
  const std::string page = r.html();
  EXPECT_NE(page.find(",777,"), std::string::npos);
  EXPECT_LT(page.size(), 60000u);
}

}  // namespace
}  // namespace hadal::report
