// What TensorBoard gets of a step: the same figures as metrics.jsonl, under a name for each gate.
#include "train/tensorboard.h"

#include <gtest/gtest.h>

#include <map>

#include "base/file.h"
#include "model/config.h"
#include "support/temp_folder.h"

namespace hadal::train {
namespace {

StepMetrics metrics_at(std::int64_t step) {
  StepMetrics m;
  m.step = step;
  m.objective = 4.5;
  m.lm_loss = 4.0;
  m.mtp_loss = {4.25};
  m.lr = 0.001;
  m.max_violation = {0.5, 0.25, 1.0};
  m.loads_LE = {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}};
  return m;
}

TEST(TensorBoard, EveryGateHasANameAndItsFigures) {
  const model::Config c = model::preset("demo");  // a dense layer, two of experts, one MTP module
  const std::vector<std::string> gates = gate_names(c);
  EXPECT_EQ(gates, (std::vector<std::string>{"layer 1", "layer 2", "MTP 1"}));
  StepMetrics m = metrics_at(7);
  m.validations = {{.name = "first 64 rows", .bits_per_byte = 2.5, .mtp_acceptance = {0.75}}};
  const report::Event e = event_of(m, gates, 10.0);
  EXPECT_EQ(e.step, 7);
  std::map<std::string, double> scalars;
  for (const auto& s : e.scalars) EXPECT_TRUE(scalars.emplace(s.tag, s.value).second) << s.tag << " twice";
  EXPECT_EQ(scalars.at("loss/lm_loss"), 4.0);
  EXPECT_EQ(scalars.at("loss/mtp_loss_1"), 4.25);
  EXPECT_EQ(scalars.at("train/learning_rate"), 0.001);
  EXPECT_EQ(scalars.at("MaxVio/layer 2"), 0.25);
  EXPECT_EQ(scalars.at("MaxVio/MTP 1"), 1.0);
  EXPECT_EQ(scalars.at("validation/first 64 rows/bits_per_byte"), 2.5);
  EXPECT_EQ(scalars.at("validation/first 64 rows/mtp_1_acceptance"), 0.75);
  ASSERT_EQ(e.histograms.size(), 3u);
  EXPECT_EQ(e.histograms[1].tag, "tokens_per_expert/layer 2");
  EXPECT_EQ(e.histograms[1].counts, (std::vector<std::int64_t>{4, 5, 6}));
}

TEST(TensorBoard, AResumedRunHasEveryStepOnce) {
  const test::TempFolder run;
  const model::Config c = model::preset("demo");
  for (const std::int64_t from : {0, 3, 5}) {  // each leg goes two steps past what the next one finds saved
    TensorBoardLog log(run.path(), from, c);
    for (std::int64_t s = from + 1; s <= from + 5; ++s) log.append(metrics_at(s));
  }
  const std::string bytes = read_file(run / "tensorboard/events.out.tfevents.hadal");
  std::size_t used = 0;
  std::vector<std::int64_t> steps;
  for (const std::string_view payload : report::decode_records(bytes, used)) {
    if (payload.find("loss/lm_loss") != std::string_view::npos) steps.push_back(report::step_of_event(payload));
  }
  EXPECT_EQ(used, bytes.size());
  EXPECT_EQ(steps, (std::vector<std::int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
}

}  // namespace
}  // namespace hadal::train
