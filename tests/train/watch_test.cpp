// The view of a run: what is drawn, that it fits, and that a growing or cut-back metrics.jsonl is followed.
#include "train/watch.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <fstream>

#include "base/report/text_plot.h"
#include "support/temp_folder.h"

namespace hadal::train {
namespace {

StepMetrics step(std::int64_t n, std::int64_t total = 1000) {
  StepMetrics m;
  m.step = n;
  m.tokens = 100 * n;
  m.total_tokens = total;
  m.lm_loss = m.objective = 8.0 / static_cast<double>(n);
  m.seconds = 2;
  m.tokens_per_second = 50;
  m.max_violation = {0.5, 1.5};
  m.loads_LE = {{1, 2}, {3, 4}};
  return m;
}

void write(const std::filesystem::path& path, std::int64_t steps, const std::string& tail = "") {
  std::ofstream file(path, std::ios::trunc);
  for (std::int64_t n = 1; n <= steps; ++n) file << to_json(step(n)) << "\n";
  file << tail;
}

TEST(Watch, FollowsAFileThatGrowsAndIsCutBack) {
  const test::TempFolder run;
  MetricsFollower follower(run.path());
  EXPECT_FALSE(follower.poll());
  const auto path = run / "metrics.jsonl";
  write(path, 2, to_json(step(3)).substr(0, 20));
  EXPECT_TRUE(follower.poll());
  EXPECT_EQ(follower.steps().size(), 2u) << "a line still being written is left for later";
  EXPECT_FALSE(follower.poll());
  std::ofstream(path, std::ios::app) << to_json(step(3)).substr(20) << "\n";
  EXPECT_TRUE(follower.poll());
  ASSERT_EQ(follower.steps().size(), 3u);
  EXPECT_EQ(follower.steps()[2].tokens, 300);
  write(path, 1);
  EXPECT_TRUE(follower.poll());
  EXPECT_EQ(follower.steps().size(), 1u);
  std::ofstream(path, std::ios::app) << "no json\n";
  EXPECT_NE(test::error_of([&] { follower.poll(); }).find("metrics.jsonl:2"), std::string::npos);
}

// The date of the file counts once. Who sets the clock of the machine makes a file of this moment look old, or new:
// here the date is set instead.
TEST(Watch, AClockThatIsSetMakesNoSilence) {
  const test::TempFolder run;
  const auto path = run / "metrics.jsonl";
  const auto date = [&](int hours) {
    std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() + std::chrono::hours(hours));
  };
  write(path, 2);
  date(-3);
  MetricsFollower follower(run.path());
  EXPECT_EQ(follower.seconds_since_last(), 0);
  EXPECT_TRUE(follower.poll());
  EXPECT_NEAR(follower.seconds_since_last(), 3 * 3600, 600);
  date(-5);
  EXPECT_FALSE(follower.poll());
  EXPECT_NEAR(follower.seconds_since_last(), 3 * 3600, 600);
  std::ofstream(path, std::ios::app) << to_json(step(3)) << "\n";
  date(-2);
  EXPECT_TRUE(follower.poll());
  EXPECT_LT(follower.seconds_since_last(), 1800);
  write(path, 1);
  date(48);
  MetricsFollower other(run.path());
  EXPECT_TRUE(other.poll());
  EXPECT_GE(other.seconds_since_last(), 0);
  EXPECT_LT(other.seconds_since_last(), 1800);
}

TEST(Watch, EtaIsTheRestAtTheLatestSpeed) {
  std::vector<StepMetrics> steps = {step(1), step(2)};
  EXPECT_DOUBLE_EQ(seconds_left(steps), 800.0 / 50);
  EXPECT_FALSE(finished(steps));
  steps.push_back(step(10));
  EXPECT_TRUE(finished(steps));
  EXPECT_EQ(seconds_left(steps), 0);
  EXPECT_EQ(seconds_left({}), 0);
}

TEST(Watch, FramesFitAnyTerminal) {
  std::vector<StepMetrics> steps;
  for (std::int64_t n = 1; n <= 9; ++n) {
    steps.push_back(step(n));
    steps.back().max_violation.assign(58, 0.1 * static_cast<double>(n));
  }
  for (const std::size_t width : {40u, 80u, 200u}) {
    for (const std::size_t height : {8u, 24u, 60u}) {
      const auto frame = draw_frame(steps, {"title", {}, width, height}, 0);
      EXPECT_LE(frame.size(), height);
      for (const std::string& line : frame) EXPECT_LE(report::shown_width(line), width) << line;
    }
  }
}

TEST(Watch, ALongSilenceIsSaid) {
  const std::vector<StepMetrics> steps = {step(1), step(2)};
  EXPECT_NE(draw_frame(steps, {}, 5)[1].find("ETA 0:16"), std::string::npos);
  EXPECT_NE(draw_frame(steps, {}, 600)[1].find("no step for 10:00"), std::string::npos);
}

TEST(TextPlot, SparklinesSpanTheirRange) {
  EXPECT_EQ(report::sparkline({0, 7, 3.5}, 10), "▁█▅");
  EXPECT_EQ(report::sparkline({2, 2}, 10), "▁▁");
  EXPECT_EQ(report::sparkline({1, std::nan(""), 2}, 10), "▁ █");
  EXPECT_EQ(report::sparkline({0, 2, 8, 6}, 2), "▁█") << "means of stretches";
  EXPECT_EQ(report::sparkline({}, 10), "");
}

TEST(TextPlot, ACurveGoesFromTopToBottom) {
  const auto lines = report::dot_plot({4, 3, 2, 1}, 9 + 2, 1);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0], "       4┤⠑⢄");
  EXPECT_EQ(report::dot_plot({}, 20, 3).size(), 3u);
}

TEST(TextPlot, BarsFillInEighths) {
  EXPECT_EQ(report::bar(0.5, 4), "██  ");
  EXPECT_EQ(report::bar(1.0 / 16, 2), "▏ ");
  EXPECT_EQ(report::bar(2.0, 2), "██");
  EXPECT_EQ(report::bar(-1, 2), "  ");
}

}  // namespace
}  // namespace hadal::train
