// report.html of a run: every figure that the metrics hold has its plot, also with many layers.
#include "train/report.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "support/temp_folder.h"
#include "train/metrics.h"
#include "train/recipe.h"
#include "train/spike_guard.h"

namespace hadal::train {
namespace {

std::string page_of(const model::Config& c, std::size_t gates, std::size_t experts) {
  const test::TempFolder run;
  std::ofstream log(run / "metrics.jsonl");
  for (std::int64_t n = 1; n <= 20; ++n) {
    StepMetrics m;
    m.step = n;
    m.tokens = 100 * n;
    m.total_tokens = 2000;
    m.lm_loss = m.objective = 5.0 - 0.1 * static_cast<double>(n);
    m.mtp_loss = {4.5};
    m.seconds = 1;
    m.tokens_per_second = 100;
    m.max_violation.assign(gates, 0.5);
    m.loads_LE.assign(gates, std::vector<std::int64_t>(experts, 10));
    if (n % 10 == 0)
      m.validations = {{n < 20 ? "first 64 rows" : "whole text", n < 20 ? 64 : 100, n == 20, 4.25, 2.125, 0.5, {0.75}}};
    log << to_json(m) << "\n";
  }
  log.close();
  Recipe recipe;
  recipe.balance.gamma = 0.0625;
  write_file_atomically(run / "recipe.toml", to_toml(recipe));
  write_before(run.path(), {{"whole text", 100, true, 8.5, 6.5, 0.5, {0.25}}});
  write_report(run.path(), c, Sample{"drawn", "", "Once upon a <time>"});
  return read_file(run / "report.html");
}

TEST(Report, HasEveryPlot) {
  const std::string page = page_of(model::preset("demo"), 3, 16);
  for (const char* what : {"Training: lm loss",
                           "Validation",
                           "Gradient norm",
                           "Learning rate",
                           "Speed",
                           "<figcaption>MFU<",
                           "MTP acceptance, validation",
                           "MaxVio of each step",
                           "MaxVio of the validation",
                           "<figcaption>layer 1<",
                           "<figcaption>layer 2<",
                           "<figcaption>MTP 1<",
                           "whole text",
                           "4.2500",
                           "2.1250",
                           "before training",
                           "8.5000",
                           "first 64 rows",
                           "Once upon a &lt;time&gt;",
                           "What the words mean",
                           "gamma 0.0625",
                           "the whole recipe"})
    EXPECT_NE(page.find(what), std::string::npos) << what;
}

// The value before training is the first of its series, at no tokens; whole texts are marks, not part of the line.
TEST(Report, TheValueBeforeTrainingIsInItsChart) {
  const std::string page = page_of(model::preset("demo"), 3, 16);
  const std::string chart = page.substr(page.rfind("<figure", page.find("<figcaption>Validation<")),
                                        page.find("</figure>", page.find("<figcaption>Validation<")));
  EXPECT_NE(chart.find("&quot;n&quot;:&quot;whole text&quot;,&quot;x&quot;:[0,2000],&quot;y&quot;:[6.5,2.125]"),
            std::string::npos)
      << chart.substr(0, 600);
  EXPECT_NE(chart.find("mark' d='"), std::string::npos);
}

TEST(Report, SkippedStepsSayWhy) {
  const test::TempFolder run;
  std::ofstream log(run / "metrics.jsonl");
  for (std::int64_t n = 1; n <= 4; ++n) {
    StepMetrics m;
    m.step = m.tokens = n;
    m.total_tokens = 4;
    m.max_violation.assign(3, 0.5);
    m.loads_LE.assign(3, {1, 2});
    m.skipped = n == 1 ? kLossSpike : n < 4 ? kGradientSpike : "";
    log << to_json(m) << "\n";
  }
  log.close();
  write_report(run.path(), model::preset("demo"));
  const std::string page = read_file(run / "report.html");
  EXPECT_NE(page.find("<b>1</b><span>step skipped: loss spike"), std::string::npos);
  EXPECT_NE(page.find("<b>2</b><span>steps skipped: gradient spike"), std::string::npos);
  EXPECT_EQ(page.find("not finite"), std::string::npos);
}

TEST(Report, FiguresOfAnotherModelAreRefused) {
  EXPECT_NE(test::error_of([] { page_of(model::preset("demo"), 2, 16); }).find("figures of 2 layers"),
            std::string::npos);
}

TEST(Report, ManyLayersStayReadable) {
  const std::string page = page_of(model::preset("v3"), 59, 256);
  std::size_t figures = 0;
  for (std::size_t at = page.find("<figure "); at != std::string::npos; at = page.find("<figure ", at + 1)) ++figures;
  EXPECT_EQ(figures, 21u) << "9 plots and the loads of 12 layers";
  EXPECT_NE(page.find("12 of 59 layers"), std::string::npos);
  EXPECT_LT(page.size(), std::size_t{4} << 20);
}

TEST(Report, ARecipeOfAnotherVersionIsShownAsItIs) {
  const test::TempFolder run;
  write_file_atomically(run / "metrics.jsonl", "");
  write_file_atomically(run / "recipe.toml", "[train]\nhorses = 4\n");
  write_report(run.path(), model::preset("demo"));
  const std::string page = read_file(run / "report.html");
  EXPECT_NE(page.find("train.horses"), std::string::npos);
  EXPECT_NE(page.find("horses = 4"), std::string::npos);
}

}  // namespace
}  // namespace hadal::train
