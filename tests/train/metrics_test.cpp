// metrics.jsonl: cut back on resumption, lines kept as they are; every key documented; what is no metrics refused.
#include "train/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <regex>
#include <set>

#include "base/file.h"
#include "base/json.h"
#include "support/temp_folder.h"
#include "train/spike_guard.h"

namespace hadal::train {
namespace {

StepMetrics line_of(std::int64_t step) {
  StepMetrics m;
  m.step = step;
  m.tokens = 10 * step;
  m.lm_loss = 1.0 / 3 / static_cast<double>(step);
  m.grad_norm = step == 2 ? std::numeric_limits<double>::quiet_NaN() : 0.1;
  m.mtp_loss = {2.5, std::numeric_limits<double>::infinity()};
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
  const std::vector<StepMetrics> all = MetricsReader("here").lines(to_json(line_of(2)) + "\n");
  ASSERT_EQ(all.size(), 1u);
  EXPECT_TRUE(std::isnan(all[0].grad_norm));
  EXPECT_EQ(all[0].mtp_loss[0], 2.5);
  EXPECT_TRUE(std::isnan(all[0].mtp_loss[1]));
  EXPECT_EQ(all[0].lm_loss, 1.0 / 6);
}

// Every member is set: a line with every key.
StepMetrics full_line() {
  StepMetrics m = line_of(1);
  m.device_balance_loss = m.communication_balance_loss = 1;
  m.max_violation = {0.5, 0.25};
  m.skipped = kLossSpike;
  m.validations = {{"first 64 rows", 64, false, 3, 2, 1, {0.5}}, {"whole text", 100, true, 3.5, 2.5, 1.5, {0.75}}};
  return m;
}

TEST(Metrics, EveryKeyIsInTheTableOfTheDocs) {
  const std::string text = read_file(std::string(HADAL_SOURCE_DIR) + "/docs/training.md");
  const std::size_t table = text.find("| key of `metrics.jsonl`"), end = text.find("\n\n", table);
  ASSERT_NE(table, std::string::npos);
  std::set<std::string> documented, written;
  const std::string rows = text.substr(table, end - table);
  const std::regex row("\\n\\| `([A-Za-z_.]+)`");
  for (std::sregex_iterator i(rows.begin(), rows.end(), row), none; i != none; ++i) documented.insert((*i)[1]);
  const json line = json::parse(to_json(full_line()));
  for (const auto& [key, value] : line.items()) {
    if (key != "validation") written.insert(key);
  }
  for (const auto& [key, value] : line["validation"]["whole text"].items()) written.insert("validation.NAME." + key);
  EXPECT_EQ(documented, written);
  const std::vector<std::string> keys = metric_keys();
  EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()), written) << "full_line() leaves out a key";
}

TEST(Metrics, WhatIsWrittenIsReadBack) {
  const StepMetrics m = MetricsReader("here").line(to_json(full_line()));
  EXPECT_EQ(m.skipped, kLossSpike);
  ASSERT_EQ(m.validations.size(), 2u);
  EXPECT_EQ(m.validations[0].name, "first 64 rows");
  EXPECT_EQ(m.validations[1].rows, 100);
  EXPECT_TRUE(m.validations[1].whole);
  EXPECT_EQ(m.validations[1].bits_per_byte, 2.5);
  EXPECT_EQ(m.validations[1].mtp_acceptance, std::vector<double>{0.75});
  const std::string line = to_json(full_line());
  EXPECT_EQ(to_json(MetricsReader("here").line(line)).size(), line.size());
  const test::TempFolder run;
  EXPECT_TRUE(read_before(run.path()).empty());
  write_before(run.path(), full_line().validations);
  EXPECT_EQ(read_before(run.path()).at(1).lm_loss, 3.5);
}

TEST(Metrics, LinesOfOlderRunsAreRead) {
  const StepMetrics m = MetricsReader("here").line(
      R"({"step":3,"tokens":30,"total_tokens":60,"rows":2,"loss":5.5,"main":5,"mtp":[6],"balance":0.1,"grad_norm":null,)"
      R"("lr":0.1,"gamma":0,"lambda":0,"seconds":1,"tokens_per_second":10,"share_of_peak":0.5,"max_violation":[1],)"
      R"("loads":[[1,2]],"memory_gib":1,"skipped":true,"heldout_bits_per_byte":2.5,"heldout_loss":3,)"
      R"("heldout_max_violation":1,"mtp_acceptance":[0.5]})");
  EXPECT_EQ(m.lm_loss, 5);
  EXPECT_EQ(m.objective, 5.5);
  EXPECT_EQ(m.mtp_loss, std::vector<double>{6});
  EXPECT_EQ(m.skipped, kNotFinite) << "its gradient norm was not";
  ASSERT_EQ(m.validations.size(), 1u);
  EXPECT_EQ(m.validations[0].bits_per_byte, 2.5);
}

TEST(Metrics, WhatIsNoLineOfMetricsIsRefusedByName) {
  const std::string good = to_json(full_line());
  const auto error = [&](const std::string& from, const std::string& to) {
    std::string line = good;
    const std::size_t at = line.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    line.replace(at, from.size(), to);
    return test::error_of([&] { MetricsReader("run/metrics.jsonl").line(line); });
  };
  struct Change {
    const char *from, *to, *want;
  };
  for (const Change& c :
       {Change{"\"step\":1", "\"step\":-1", "key 'step' must be a whole number"},
        Change{"\"step\":1", "\"step\":1.5", "key 'step' must be a whole number"},
        Change{"\"step\":1", "\"stop\":1", "key 'step' is missing"},
        Change{"\"tokens\":10", "\"tokens\":18446744073709551615", "key 'tokens' must be a whole number"},
        Change{"\"lr\":0.0", "\"lr\":\"x\"", "key 'lr' must be a number"},
        Change{"\"lr\":0.0", "\"lr\":1e999", "run/metrics.jsonl:1"},
        Change{"[2.5,null]", "2.5", "key 'mtp_loss' must be a list"},
        Change{"[2.5,null]", "[[]]", "key 'mtp_loss[0]' must be a number"},
        Change{"[1,2]", "[1,\"2\"]", "key 'tokens_per_expert[0][1]' must be a whole number"},
        Change{"\"loss spike\"", "\"gremlins\"", "key 'skipped' must be"},
        Change{"\"whole\":true", "\"whole\":1", "key 'validation.whole' must be true or false"},
        Change{"first 64 rows", "first \\u001b[31m", "control character"}, Change{"{", "[", "run/metrics.jsonl:1"}}) {
    const std::string said = error(c.from, c.to);
    EXPECT_NE(said.find("run/metrics.jsonl:1"), std::string::npos) << said;
    EXPECT_NE(said.find(c.want), std::string::npos) << said;
  }
  for (const char* line : {"3", "[]", "null", "{}", "\"text\""})
    EXPECT_NE(test::error_of([&] { MetricsReader("m").line(line); }).find("m:1"), std::string::npos) << line;
}

TEST(Metrics, LinesOfOneFileHaveOneShape) {
  const auto second = [&](const std::function<void(StepMetrics&)>& change) {
    StepMetrics m = full_line();
    m.step = 2;
    m.tokens = 20;
    change(m);
    return test::error_of([&] { MetricsReader("m").lines(to_json(full_line()) + "\n" + to_json(m) + "\n"); });
  };
  EXPECT_EQ(second([](StepMetrics&) {}), "");
  for (const auto& [part, change] : std::vector<std::pair<std::string, std::function<void(StepMetrics&)>>>{
           {"step 1 comes after step 1", [](StepMetrics& m) { m.step = 1; }},
           {"9 tokens come after 10", [](StepMetrics& m) { m.tokens = 9; }},
           {"'mtp_loss' has 1 entries", [](StepMetrics& m) { m.mtp_loss.pop_back(); }},
           {"'max_violation' has 3 entries", [](StepMetrics& m) { m.max_violation.push_back(1); }},
           {"'tokens_per_expert' has 1 entries", [](StepMetrics& m) { m.loads_LE.pop_back(); }},
           {"'tokens_per_expert' has 9 entries", [](StepMetrics& m) { m.loads_LE[1].resize(9); }}}) {
    const std::string said = second(change);
    EXPECT_NE(said.find("m:2"), std::string::npos) << said;
    EXPECT_NE(said.find(part), std::string::npos) << said;
  }
}

}  // namespace
}  // namespace hadal::train
