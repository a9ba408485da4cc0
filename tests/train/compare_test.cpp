// Several runs beside each other: names, differences of recipes, and a page that unlike shapes do not break.
#include "train/compare.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "support/temp_folder.h"
#include "train/metrics.h"
#include "train/recipe.h"

namespace hadal::train {
namespace {

// A run of `gates` layers with experts, `steps` of `batch` tokens.
void make_run(const fs::path& dir, const std::vector<std::string>& overrides, std::int64_t steps, std::int64_t batch,
              std::size_t gates) {
  fs::create_directories(dir);
  write_file_atomically(dir / "recipe.toml", to_toml(load_recipe({}, overrides)));
  std::ofstream log(dir / "metrics.jsonl");
  for (std::int64_t n = 1; n <= steps; ++n) {
    StepMetrics m;
    m.step = n;
    m.tokens = n * batch;
    m.total_tokens = steps * batch;
    m.lm_loss = 5.0 / static_cast<double>(n);
    m.seconds = 1;
    m.tokens_per_second = static_cast<double>(batch);
    m.mtp_loss.assign(gates % 2, 4);
    m.max_violation.assign(gates, 0.5);
    m.loads_LE.assign(gates, std::vector<std::int64_t>(4 + gates, 10));
    if (n == steps) m.validations = {{"whole text", 10, true, 3, 2.125, 0.5, {}}};
    log << to_json(m) << "\n";
  }
}

TEST(Compare, NamesAreTheEndsOfPathsThatDiffer) {
  EXPECT_EQ(distinct_names({"runs/a", "runs/b"}), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(distinct_names({"a/run", "b/run/", "b/./other"}), (std::vector<std::string>{"a/run", "b/run", "b/other"}));
  EXPECT_NE(test::error_of([] { distinct_names({"a/run", "a/x/../run"}); }).find("given twice"), std::string::npos);
}

TEST(Compare, OnlyKeysThatDifferAreShown) {
  const test::TempFolder folder;
  make_run(folder / "a", {"lr.peak=0.001", "train.rows=8"}, 3, 100, 2);
  make_run(folder / "b", {"lr.peak=0.002", "train.rows=8"}, 3, 100, 2);
  EXPECT_EQ(recipe_differences({"a", "b"}, {folder / "a", folder / "b"}),
            (report::Table{{"key of the recipe", "a", "b"}, {"lr.peak", "0.001", "0.002"}}));
  make_run(folder / "d", {"lr.peak=0.001", "train.rows=8", "model.hidden_size=96"}, 3, 100, 2);
  EXPECT_EQ(recipe_differences({"a", "d"}, {folder / "a", folder / "d"}),
            (report::Table{{"key of the recipe", "a", "d"}, {"model.hidden_size", "not set", "96"}}));
  fs::remove(folder / "b" / "recipe.toml");
  make_run(folder / "c", {"lr.peak=0.001", "train.rows=4"}, 3, 100, 2);
  const report::Table with_gap = recipe_differences({"a", "b", "c"}, {folder / "a", folder / "b", folder / "c"});
  ASSERT_EQ(with_gap.size(), 3u);
  EXPECT_EQ(with_gap[1], (std::vector<std::string>{"train.rows", "8", "?", "4"}));
  EXPECT_EQ(with_gap[2][2], "no recipe.toml");
}

TEST(Compare, RunsOfUnlikeShapesShareAPage) {
  const test::TempFolder folder;
  make_run(folder / "dense", {"lr.peak=0.001"}, 3, 100, 0);
  make_run(folder / "wide", {"lr.peak=0.003"}, 200, 7, 5);
  write_before(folder / "wide", {{"whole text", 10, true, 8, 6.5, 0.5, {}}});
  write_comparison(folder / "page.html", {folder / "dense", folder / "wide"});
  const std::string page = read_file(folder / "page.html");
  for (const char* part : {"Training: lm loss", "Validation", "dense, whole text", "wide, whole text",
                           "<td>lr.peak</td>", "<td class='n'>0.003</td>", "[0,1400]", "What the words mean"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
  EXPECT_NE(page.find("a bold line is a running mean"), std::string::npos);
  make_run(folder / "short", {"lr.peak=0.002"}, 3, 100, 0);
  write_comparison(folder / "short.html", {folder / "dense", folder / "short"});
  EXPECT_EQ(read_file(folder / "short.html").find("bold line"), std::string::npos) << "none is drawn";
  EXPECT_EQ(run_table({"dense", "wide"}, {folder / "dense", folder / "wide"}).size(), 3u);
}

TEST(Compare, ARunWithoutAStepIsNamed) {
  const test::TempFolder folder;
  make_run(folder / "a", {}, 3, 100, 2);
  make_run(folder / "b", {}, 0, 100, 2);
  EXPECT_NE(test::error_of([&] {
              write_comparison(folder / "page.html", {folder / "a", folder / "b"});
            }).find("no step"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(folder / "page.html"));
}

}  // namespace
}  // namespace hadal::train
