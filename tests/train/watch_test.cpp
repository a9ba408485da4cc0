// The view of a run: what is drawn, that it fits, and that a growing or cut-back metrics.jsonl is followed.
#include "train/watch.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "base/report/table.h"
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
      for (const auto& frame : {draw_frame(steps, {"title", {}, width, height}, 0),
                                draw_comparison({{"one", &steps, 0}, {"two", &steps, 0}}, {{"key", "one", "two"}},
                                                {"title", {}, width, height, true})}) {
        EXPECT_LE(frame.size(), height);
        for (const std::string& line : frame) EXPECT_LE(report::shown_width(line), width) << line;
      }
    }
  }
}

TEST(Watch, ALongSilenceIsSaid) {
  const std::vector<StepMetrics> steps = {step(1), step(2)};
  EXPECT_NE(draw_frame(steps, {}, 5)[1].find("ETA 0:16"), std::string::npos);
  EXPECT_NE(draw_frame(steps, {}, 600)[1].find("no step for 10:00"), std::string::npos);
}

TEST(Watch, ValidationsOfDifferentRowsHaveALineEach) {
  std::vector<StepMetrics> steps = {step(1), step(2)};
  steps[0].validations = {{"first 64 rows", 64, false, 3.5, 2.5, 1, {}}};
  steps[1].validations = {{"whole text", 100, true, 3.25, 2.25, 1, {0.5}}};
  std::string frame;
  for (const std::string& line : draw_frame(steps, {}, 0)) frame += line + "\n";
  EXPECT_NE(frame.find("validation: 3.5000 nats/token, 2.5000 bits/byte, first 64 rows, step 1, MaxVio 1.000"),
            std::string::npos)
      << frame;
  EXPECT_NE(frame.find("validation: 3.2500 nats/token, 2.2500 bits/byte, whole text, step 2, MTP 1: 50.0 %, MaxVio"),
            std::string::npos)
      << frame;
}

TEST(Watch, TheSpeedOfOneScreenIsOneSpeed) {
  std::vector<StepMetrics> steps;
  for (std::int64_t n = 1; n <= 40; ++n) {
    steps.push_back(step(n, 10000));
    steps.back().tokens_per_second = n <= 20 ? 1000 : 50;  // the first half is not counted any more
    steps.back().share_of_peak = n <= 20 ? 1 : 0.25;
  }
  const std::string frame = fmt::format("{}", fmt::join(draw_frame(steps, {}, 0), "\n"));
  EXPECT_NE(frame.find("tokens/s, mean         50"), std::string::npos) << frame;
  EXPECT_NE(frame.find("MFU, mean            25 %"), std::string::npos) << frame;
  EXPECT_NE(frame.find("ETA 2:00"), std::string::npos) << "6000 tokens at 50 per second\n" << frame;
  EXPECT_NE(draw_line(steps).find(" 50 tokens/s  MFU 25 %"), std::string::npos) << draw_line(steps);
}

TEST(Watch, SkippedStepsSayWhy) {
  std::vector<StepMetrics> steps = {step(1), step(2)};
  steps[1].skipped = "gradient spike";
  EXPECT_NE(draw_frame(steps, {}, 0)[2].find("step skipped: gradient spike"), std::string::npos);
  EXPECT_EQ(draw_frame(steps, {}, 0)[2].find("not finite"), std::string::npos);
}

TEST(Watch, SeveralRunsOverEachOther) {
  std::vector<StepMetrics> one, two;
  for (std::int64_t n = 1; n <= 9; ++n) one.push_back(step(n));
  for (std::int64_t n = 1; n <= 3; ++n) {
    two.push_back(step(n));
    two.back().max_violation.clear();  // a model without experts
    two.back().loads_LE.clear();
  }
  const std::vector<StepMetrics> none;
  const std::vector<RunView> runs = {{"slow", &one, 0}, {"dense", &two, 0}, {"later", &none, 0}};
  const auto frame = draw_comparison(
      runs, {{"key of the recipe", "slow", "dense", "later"}, {"lr.peak", "0.1", "0.2", "?"}}, {"title", {}, 100, 40});
  const std::string text = fmt::format("{}", fmt::join(frame, "\n"));
  for (const char* part : {"a  slow", "b  dense", "c  later", "no step yet", "90 %", "30 %", "lr.peak", "0.1", "0.2"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  EXPECT_EQ(text.find('\033'), std::string::npos);
}

}  // namespace
}  // namespace hadal::train
