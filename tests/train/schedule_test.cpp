// The batch ramp, and V3's schedules in full as recipes/v3.toml gives them.
#include "train/schedule.h"

#include <gtest/gtest.h>

#include "support/temp_folder.h"

namespace hadal::train {
namespace {

std::string recipe_path(const std::string& name) { return std::string(HADAL_SOURCE_DIR) + "/recipes/" + name; }

TEST(BatchRamp, IsLinearInTokensInMultiples) {
  const BatchRamp ramp{
      .start = 8, .full = 40, .multiple = 4, .ramp_tokens = 1000, .all_tokens = 1'000'000, .row_tokens = 10};
  EXPECT_EQ(ramp.rows_at(0), 8);
  EXPECT_EQ(ramp.rows_at(124), 8);  // 8 + 32 * 0.124 = 11.97
  EXPECT_EQ(ramp.rows_at(125), 12);
  EXPECT_EQ(ramp.rows_at(500), 24);
  EXPECT_EQ(ramp.rows_at(999), 36);
  EXPECT_EQ(ramp.rows_at(1000), 40);
  EXPECT_EQ(ramp.rows_at(900'000), 40);
}

TEST(BatchRamp, LastStepTakesWhatIsLeft) {
  const BatchRamp ramp{.start = 40, .full = 40, .multiple = 4, .all_tokens = 1000, .row_tokens = 10};
  EXPECT_EQ(ramp.rows_at(0), 40);
  EXPECT_EQ(ramp.rows_at(600), 40);
  EXPECT_EQ(ramp.rows_at(610), 40);  // 39 rows, in fours
  EXPECT_EQ(ramp.rows_at(800), 20);
  EXPECT_EQ(ramp.rows_at(991), 4);
  EXPECT_EQ(ramp.rows_at(999), 4);
}

TEST(Schedules, StepsOfARampEndAtTheTokens) {
  const Recipe r = load_recipe({}, {"train.tokens=10000", "train.rows=12", "train.rows_start=4", "train.micro_rows=2",
                                    "train.ramp_share=0.5", "data.sequence_length=32"});
  const BatchRamp ramp = schedules_of(r).rows;
  std::int64_t tokens = 0, before = 0;
  std::vector<std::int64_t> rows;
  while (tokens < r.train.tokens) {
    rows.push_back(ramp.rows_at(tokens));
    EXPECT_EQ(rows.back() % 2, 0);
    before = tokens;
    tokens += rows.back() * 32;
    if (tokens < r.train.tokens && before < 5000) {
      EXPECT_GE(ramp.rows_at(tokens), rows.back());
    }
  }
  EXPECT_EQ(rows.front(), 4);
  EXPECT_NE(std::find(rows.begin(), rows.end(), 12), rows.end());
  EXPECT_LT(tokens - r.train.tokens, 2 * 32);
}

TEST(Schedules, V3InFull) {
  const Recipe r = load_recipe(recipe_path("v3.toml"), {});
  const Schedules s = schedules_of(r);
  constexpr std::int64_t B = 1'000'000'000, T = 1000 * B;
  EXPECT_EQ(r.train.tokens, 14800 * B);
  // Batch: 3072 to 15360 over the first 469B.
  EXPECT_EQ(s.rows.rows_at(0), 3072);
  EXPECT_NEAR(static_cast<double>(s.rows.rows_at(469 * B / 2)), (3072.0 + 15360.0) / 2, 8);
  EXPECT_LT(s.rows.rows_at(468 * B), 15360);
  EXPECT_EQ(s.rows.rows_at(470 * B), 15360);
  EXPECT_EQ(s.rows.rows_at(14 * T), 15360);
  // Learning rate: 2,000 steps up, constant to 10T, cosine over 4.3T, 333B at 2.2e-5, 167B at 7.3e-6.
  std::int64_t tokens = 0;
  for (int step = 0; step < 2000; ++step) tokens += s.rows.rows_at(tokens) * 4096;
  EXPECT_NEAR(s.lr.at(tokens, 0), 2.2e-4, 2e-6);
  EXPECT_NEAR(s.lr.at(tokens / 2, 0), 1.1e-4, 2e-6);
  EXPECT_DOUBLE_EQ(s.lr.at(9990 * B, 1), 2.2e-4);
  EXPECT_LT(s.lr.at(10020 * B, 1), 2.2e-4);
  EXPECT_NEAR(s.lr.at(10000 * B + 2150 * B, 1), (2.2e-4 + 2.2e-5) / 2, 1e-7);
  EXPECT_NEAR(s.lr.at(14299 * B, 1), 2.2e-5, 1e-9);
  EXPECT_DOUBLE_EQ(s.lr.at(14301 * B, 1), 2.2e-5);
  EXPECT_DOUBLE_EQ(s.lr.at(14632 * B, 1), 2.2e-5);
  EXPECT_DOUBLE_EQ(s.lr.at(14634 * B, 1), 7.3e-6);
  // gamma to 14.3T, lambda to 10T.
  EXPECT_EQ(s.gamma.at(14299 * B), 1e-3);
  EXPECT_EQ(s.gamma.at(14301 * B), 0);
  EXPECT_EQ(s.lambda.at(9999 * B), 0.3);
  EXPECT_EQ(s.lambda.at(10001 * B), 0.1);
  EXPECT_EQ(r.balance.alpha, 1e-4);
  EXPECT_EQ(r.data.fim_rate, 0.1);
}

TEST(Schedules, WarmUpStableDecayAndStepsDown) {
  // V2-Lite's: 0.316 of the peak from 80 % on, 0.316 of that from 90 % on.
  const Recipe r = load_recipe({}, {"train.tokens=1000000", "lr.peak=4.2e-4", "lr.warmup_share=0.01",
                                    "lr.stable_share=0.79", "lr.tail_from=[0.8, 0.9]", "lr.tail_lr=[1.33e-4, 4.2e-5]"});
  const LrSchedule lr = schedules_of(r).lr;
  EXPECT_NEAR(lr.at(0, 100), 4.2e-6, 1e-12);
  EXPECT_DOUBLE_EQ(lr.at(799'999, 1), 4.2e-4);
  EXPECT_DOUBLE_EQ(lr.at(800'000, 1), 1.33e-4);
  EXPECT_DOUBLE_EQ(lr.at(900'000, 1), 4.2e-5);
}

TEST(Recipe, RampMustFitTheMicroBatch) {
  using test::error_of;
  const std::vector<std::string> base = {"train.rows=12", "train.micro_rows=4"};
  const auto error = [&](const std::string& more) {
    std::vector<std::string> all = base;
    all.push_back(more);
    return error_of([&] { load_recipe({}, all); });
  };
  EXPECT_NE(error("train.rows_start=6").find("'train.rows_start' = 6: must be 0 or a multiple of 4"),
            std::string::npos);
  EXPECT_NE(error("train.rows_start=16").find("train.rows_start"), std::string::npos);
  EXPECT_NE(error("train.rows_multiple=6").find("train.rows_multiple"), std::string::npos);
  EXPECT_NE(error("train.ramp_share=1.5").find("from 0 to 1"), std::string::npos);
  EXPECT_EQ(error("train.rows_start=8"), "");
}

}  // namespace
}  // namespace hadal::train
