// The training loop with all that V3's recipe adds: batch ramp, moving average, skipped steps; each resumes to the bit.
#include "train/trainer.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "base/file.h"
#include "small_run.h"
#include "train/spike_guard.h"

namespace hadal::train {
namespace {

using test::error_of;
using test::TempFolder;

// HADAL_FAULT for the life of this object.
struct Fault {
  explicit Fault(const char* value) { ::setenv("HADAL_FAULT", value, 1); }
  ~Fault() { ::unsetenv("HADAL_FAULT"); }
};

std::string tokens(std::int64_t rows) { return fmt::format("train.tokens={}", rows * kRowTokens); }

TEST(Trainer, RampedStepsDivideByTheirOwnBatch) {
  const TempFolder folder;
  SmallRun run({tokens(31), "train.rows=8", "train.rows_start=2", "train.micro_rows=2", "train.ramp_share=0.5"});
  const TrainerOutcome o = run.train_in(folder / "run");
  std::vector<std::int64_t> rows;
  for (const StepMetrics& m : run.steps) {
    rows.push_back(m.rows);
    // The loss of random rows is near log(vocabulary) whatever the batch: a wrong divisor would show.
    EXPECT_NEAR(m.lm_loss, std::log(97.0), 1.0) << "step " << m.step;
    std::int64_t assigned = 0;
    for (const std::int64_t load : m.loads_LE[0]) assigned += load;
    EXPECT_EQ(assigned, m.rows * kRowTokens * small_config().num_experts_per_tok);
  }
  EXPECT_EQ(rows, (std::vector<std::int64_t>{2, 2, 2, 4, 4, 6, 8, 4}));
  EXPECT_EQ(o.tokens, 32 * kRowTokens);
  EXPECT_TRUE(o.finished);
}

TEST(Trainer, ASkippedStepChangesNothingElse) {
  const TempFolder folder;
  const std::vector<std::string> recipe = {tokens(12), "optimizer.ema=0.9", "checkpoint.every=1"};
  const auto checkpoint = [&](std::int64_t step) { return checkpoint_dir(folder / "run", step); };
  SmallRun run(recipe);
  {
    const Fault fault("loss:2");
    run.train_in(folder / "run");
  }
  EXPECT_TRUE(run.said("step 2 is skipped: loss nan"));
  ASSERT_EQ(run.steps.size(), 3u);
  EXPECT_EQ(run.steps[1].skipped, kNotFinite);
  EXPECT_EQ(run.steps[2].skipped, "");
  expect_same_tensors(checkpoint(1), checkpoint(2));
  const TrainerState one = read_state(checkpoint(1)), two = read_state(checkpoint(2)),
                     three = read_state(checkpoint(3));
  EXPECT_EQ(two.tokens, 2 * one.tokens);
  EXPECT_NE(two.loader, one.loader);
  EXPECT_EQ(one.updates, 1);
  EXPECT_EQ(two.updates, 1);
  EXPECT_EQ(three.updates, 2);
  // Only the counter of skipped steps differs in the guard's state.
  std::string guard = two.guard;
  guard.replace(guard.find("\"skipped_in_row\":1"), 18, "\"skipped_in_row\":0");
  EXPECT_EQ(guard, one.guard);
}

TEST(Trainer, TooManySkippedStepsStopWithACheckpoint) {
  const TempFolder folder;
  SmallRun run({tokens(40), "guard.most_in_row=3"});
  std::string error;
  {
    const Fault fault("loss:3-100");
    error = error_of([&] { run.train_in(folder / "run"); });
  }
  EXPECT_NE(error.find("3 steps in a row were skipped, the last is step 5"), std::string::npos) << error;
  EXPECT_EQ(list_checkpoints(folder / "run"), std::vector<std::int64_t>{5});
  EXPECT_EQ(read_state(checkpoint_dir(folder / "run", 5)).updates, 2);
  // The same command goes on.
  EXPECT_TRUE(run.train_in(folder / "run").finished);
}

TEST(Trainer, WeightsThatOverflowStopTheRun) {
  const TempFolder folder;
  SmallRun run({tokens(40), "guard.most_in_row=2"});
  run.recipe.model.init_std = 1e30;  // no recipe may say so
  EXPECT_NE(error_of([&] { run.train_in(folder / "run"); }).find("2 steps in a row were skipped"), std::string::npos);
}

// The average, computed here from the masters of every checkpoint.
TEST(Trainer, MovingAverageIsThatOfTheMasters) {
  const TempFolder folder;
  SmallRun run({tokens(20), "optimizer.ema=0.75", "checkpoint.every=1"});
  {
    const Fault fault("loss:3");
    run.train_in(folder / "run");
  }
  std::vector<double> average;
  for (const std::int64_t step : list_checkpoints(folder / "run")) {
    const fs::path dir = checkpoint_dir(folder / "run", step);
    const Tensor w = io::Safetensors::open(dir / "model.safetensors").tensor("model.layers.1.self_attn.o_proj.weight");
    const io::Safetensors ema = io::Safetensors::open(dir / "trainer/ema.safetensors");
    const Tensor e = ema.tensor("model.layers.1.self_attn.o_proj.weight");
    const auto weights = w.span<float>();
    if (step == 1) average.assign(weights.begin(), weights.end());
    double far = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (step != 1 && step != 3) average[i] = 0.75 * average[i] + 0.25 * weights[i];
      EXPECT_NEAR(e.span<float>()[i], average[i], 1e-6) << "step " << step;
      far = std::max(far, std::abs(average[i] - weights[i]));
    }
    if (step > 1) {
      EXPECT_GT(far, 1e-4);
    }
    EXPECT_FALSE(ema.contains("model.layers.1.mlp.gate.e_score_correction_bias"));
  }
}

TEST(Trainer, ResumesEverythingToTheBit) {
  const TempFolder folder;
  const std::vector<std::string> recipe = {tokens(60),           "train.rows=8",       "train.rows_start=2",
                                           "train.micro_rows=2", "train.ramp_share=1", "optimizer.ema=0.9",
                                           "guard.z=0.5",        "guard.window=4",     "checkpoint.every=1"};
  SmallRun calm(recipe);
  const TrainerOutcome whole = calm.train_in(folder / "calm");
  std::int64_t skipped = 0;
  for (const StepMetrics& m : calm.steps) skipped += m.skipped.empty() ? 0 : 1;
  EXPECT_GT(skipped, 0) << "the guard has skipped nothing: the test would not see its state";
  // Stopped after every step, on one thread and three by turns.
  for (int leg = 0; leg < 40; ++leg) {
    SmallRun run(recipe, leg % 2 == 0 ? 1 : 3);
    std::atomic<bool> stop{false};
    run.stop = &stop;
    run.on_step = [&](const StepMetrics&) { stop = true; };
    if (run.train_in(folder / "stormy").finished) break;
  }
  expect_same_tensors(checkpoint_dir(folder / "calm", whole.step), checkpoint_dir(folder / "stormy", whole.step));
  const TrainerState a = read_state(checkpoint_dir(folder / "calm", whole.step)),
                     b = read_state(checkpoint_dir(folder / "stormy", whole.step));
  EXPECT_EQ(a.guard, b.guard);
  EXPECT_EQ(a.updates, b.updates);
  EXPECT_EQ(a.loader, b.loader);
}

TEST(Trainer, AChangedRecipeRefuses) {
  const TempFolder folder;
  SmallRun(std::vector{tokens(8)}).train_in(folder / "run");
  for (const std::string change : {"train.rows_start=2", "train.ramp_share=0.5", "optimizer.ema=0.9", "guard.z=3",
                                   "data.fim_rate=0.1", "data.split_rate=0.1", "guard.window=64"}) {
    SmallRun other({tokens(8), change});
    const std::string error = error_of([&] { other.train_in(folder / "run"); });
    EXPECT_NE(error.find(change.substr(0, change.find('='))), std::string::npos) << error;
    EXPECT_NE(error.find("-> " + change.substr(change.find('=') + 1)), std::string::npos) << error;
  }
}

TEST(Trainer, BestCheckpointIsThatOfTheValidationsWithARamp) {
  const TempFolder folder;
  SmallRun run({tokens(60), "train.rows=8", "train.rows_start=2", "train.ramp_share=1", "validation.every=2",
                "validation.rows=2", "checkpoint.keep=1"});
  test::Random random(9);
  for (int i = 0; i < 4; ++i) run.heldout.rows.push_back(test::random_tokens(random, kRowTokens + 1, 97));
  run.train_in(folder / "run");
  double best = 0;
  std::int64_t step = -1;
  for (const StepMetrics& m : run.steps) {
    if (m.validations.empty()) continue;
    const double bits = m.validations[0].bits_per_byte;
    if (step < 0 || bits < best) best = bits, step = m.step;
  }
  ASSERT_GT(step, 0);
  const TrainerState last = read_state(checkpoint_dir(folder / "run", run.steps.back().step));
  EXPECT_EQ(last.best_step, step);
  EXPECT_EQ(last.best_bits_per_byte, best);
  const std::set<std::int64_t> kept = {step, run.steps.back().step};
  EXPECT_EQ(list_checkpoints(folder / "run"), std::vector<std::int64_t>(kept.begin(), kept.end()));
}

}  // namespace
}  // namespace hadal::train
