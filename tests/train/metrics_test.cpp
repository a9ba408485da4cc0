// metrics.jsonl: cut back on resumption, lines kept as they are.
#include "train/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/file.h"
#include "support/temp_folder.h"

namespace hadal::train {
namespace {

StepMetrics line_of(std::int64_t step) {
  StepMetrics m;
  m.step = step;
  m.tokens = 10 * step;
  m.loss = 1.0 / 3 / static_cast<double>(step);
  m.grad_norm = step == 2 ? std::numeric_limits<double>::quiet_NaN() : 0.1;
  m.mtp = {2.5, std::numeric_limits<double>::infinity()};
  m.loads_LE = {{1, 2}, {3, 4}};
  return m;
}

TEST(Metrics, OpeningCutsBackToTheStepAndKeepsTheOtherLinesToTheByte) {
  const test::TempFolder folder;
  const fs::path path = folder.path() / "metrics.jsonl";
  {
    MetricsLog log(path, 0);
    for (std::int64_t step = 1; step <= 4; ++step) log.append(line_of(step));
  }
  const std::string whole = read_file(path);
  std::string want;
  for (std::int64_t step = 1; step <= 3; ++step) want += to_json(line_of(step)) + "\n";
  ASSERT_TRUE(whole.starts_with(want));
  write_file_atomically(path, whole + "{\"step\":5,\"tok");  // killed in the middle of a line
  {
    MetricsLog log(path, 3);
    EXPECT_EQ(read_file(path), want);
    log.append(line_of(4));
  }
  EXPECT_EQ(read_file(path), whole);
}

TEST(Metrics, WhatIsNotFiniteIsReadAsNaN) {
  const std::vector<StepMetrics> all = parse_metrics(to_json(line_of(2)) + "\n", "here", 1);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_TRUE(std::isnan(all[0].grad_norm));
  EXPECT_EQ(all[0].mtp[0], 2.5);
  EXPECT_TRUE(std::isnan(all[0].mtp[1]));
  EXPECT_EQ(all[0].loss, 1.0 / 6);
}

}  // namespace
}  // namespace hadal::train
