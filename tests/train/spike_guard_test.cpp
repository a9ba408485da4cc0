// The spike guard: what it skips, what it leaves alone, when it gives up, and that its state carries all of it.
#include "train/spike_guard.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/temp_folder.h"

namespace hadal::train {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();

// n calm steps around loss 3 and norm 1, with a spread of 0.1.
void calm(SpikeGuard& guard, int n) {
  for (int i = 0; i < n; ++i) {
    const double wave = i % 2 == 0 ? 0.1 : -0.1;
    EXPECT_EQ(guard.judge(3 + wave, 3 + wave, 1 + wave), "") << i;
  }
}

TEST(SpikeGuard, SkipsWhatIsNotFiniteFromTheFirstStep) {
  SpikeGuard guard({});
  EXPECT_NE(guard.judge(kNan, 3, 1).find("not finite"), std::string::npos);
  EXPECT_NE(guard.judge(3, 3, kNan), "");
  EXPECT_NE(guard.judge(kInf, 3, 1), "");
  EXPECT_NE(guard.judge(3, 3, kInf), "");
  EXPECT_EQ(guard.skipped_in_row(), 4);
  EXPECT_EQ(guard.judge(3, 3, 1), "");
  EXPECT_EQ(guard.skipped_in_row(), 0);
}

TEST(SpikeGuard, SkipsRisesOnlyAndOnlyAboveZ) {
  SpikeGuard guard({.z = 6, .grad_z = 0, .window = 20});
  calm(guard, 20);
  EXPECT_NE(guard.judge(3.61, 3.61, 1).find("standard deviations"), std::string::npos);  // 6.1
  EXPECT_EQ(guard.judge(3.59, 3.59, 1), "");                                             // 5.9
  EXPECT_EQ(guard.judge(0.1, 0.1, 1), "");                                               // a fall
  EXPECT_EQ(guard.judge(3, 3, 50), "");                                                  // norms are not looked at
}

TEST(SpikeGuard, LooksAtTheGradientNormIfAsked) {
  SpikeGuard guard({.z = 0, .grad_z = 5, .window = 20});
  calm(guard, 20);
  EXPECT_EQ(guard.judge(50, 50, 1), "");
  EXPECT_NE(guard.judge(3, 3, 1.6).find("gradient norm"), std::string::npos);
}

TEST(SpikeGuard, NeedsHalfAWindow) {
  SpikeGuard guard({.z = 6, .grad_z = 0, .window = 20});
  calm(guard, 9);
  EXPECT_EQ(guard.judge(9, 9, 1), "");
}

TEST(SpikeGuard, AFlatLossHasAFloorUnderItsSpread) {
  SpikeGuard guard({.z = 6, .grad_z = 0, .window = 10});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(guard.judge(2, 2, 1), "");
  EXPECT_EQ(guard.judge(2.05, 2.05, 1), "");  // 6 * 0.5 % of 2 is 0.06
  EXPECT_NE(guard.judge(2.2, 2.2, 1), "");
}

TEST(SpikeGuard, SkippedStepsLeaveTheStatisticsAlone) {
  SpikeGuard guard({.z = 6, .grad_z = 6, .window = 20, .most_in_row = 3});
  calm(guard, 20);
  const std::string before = guard.state();
  EXPECT_NE(guard.judge(30, 30, 30), "");
  guard.forgive();
  EXPECT_EQ(guard.state(), before);
}

TEST(SpikeGuard, GivesUpAfterSoManyInARow) {
  SpikeGuard guard({.most_in_row = 3});
  for (const double loss : {kNan, kNan, 3.0, kNan, kNan}) guard.judge(loss, loss, 1);
  EXPECT_FALSE(guard.gives_up());
  guard.judge(kNan, kNan, 1);
  EXPECT_TRUE(guard.gives_up());
}

TEST(SpikeGuard, StateCarriesEverything) {
  const GuardSettings settings{.z = 6, .grad_z = 6, .window = 10, .most_in_row = 5};
  SpikeGuard one(settings);
  for (int i = 0; i < 40; ++i) {
    SpikeGuard two(settings);
    two.restore(one.state());
    EXPECT_EQ(two.state(), one.state());
    const double loss = i % 7 == 6 ? kNan : i % 11 == 10 ? 40 : 3 + std::sin(i) / 3;
    EXPECT_EQ(two.judge(loss, loss, 1 / 3.0), one.judge(loss, loss, 1 / 3.0));
    EXPECT_EQ(two.state(), one.state());
  }
  EXPECT_NE(test::error_of([&] { one.restore("{}"); }).find("guard statistics: field 'losses' is missing"),
            std::string::npos);
}

}  // namespace
}  // namespace hadal::train
