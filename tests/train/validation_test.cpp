// Validations: which rows, under which name, cut short and made up for, and what "best" compares.
#include <gtest/gtest.h>

#include "small_run.h"

namespace hadal::train {
namespace {

using test::error_of;
using test::TempFolder;

std::string tokens(std::int64_t rows) { return fmt::format("train.tokens={}", rows * kRowTokens); }

ValidationText text(std::size_t rows, std::uint64_t seed = 9) {
  test::Random random(seed);
  ValidationText t{"prose", {}};
  for (std::size_t i = 0; i < rows; ++i) t.rows.push_back(test::random_tokens(random, kRowTokens + 1, 97));
  return t;
}

Recipe recipe(const std::vector<std::string>& settings) { return load_recipe({}, settings); }

TEST(Validation, OtherRowsHaveAnotherName) {
  const ValidationText t = text(8), other = text(8, 10);
  ValidationText changed = t;
  ++changed.rows[1][3];
  const auto name = [](const ValidationText& of, const char* rows) { return Validator(recipe({rows}), of).name(); };
  const std::string three = name(t, "validation.rows=3");
  EXPECT_EQ(three.substr(0, 22), "first 3 rows of prose ");
  EXPECT_NE(three, name(t, "validation.rows=4"));
  EXPECT_NE(three, name(other, "validation.rows=3"));
  EXPECT_NE(three, name(changed, "validation.rows=3"));
  EXPECT_EQ(name(t, "validation.rows=1"), name(changed, "validation.rows=1")) << "these rows are the same";
  EXPECT_EQ(name(t, "validation.rows=8").substr(0, 20), "all 8 rows of prose ");
  EXPECT_EQ(name(t, "validation.rows=8"), name(t, "validation.rows=99"));
  EXPECT_EQ(name({}, "validation.rows=8"), "");
  EXPECT_FALSE(Validator(recipe({"validation.rows=8", "validation.full=true"}), t).reads_whole())
      << "there are no more";
}

// A run of 12 steps with a validation every 4.
SmallRun small(const std::string& also, std::size_t rows = 8) {
  SmallRun run({tokens(48), "validation.every=4", "validation.rows=3", also});
  run.heldout = text(rows);
  return run;
}

std::vector<StepMetrics> metrics(const fs::path& run) { return read_metrics(run / "metrics.jsonl"); }

TEST(Validation, EveryOneReadsTheSameRowsUnlessAsked) {
  const TempFolder folder;
  SmallRun run = small("guard.z=6");
  std::int64_t most = 0;
  run.on_validation = [&](std::int64_t, std::int64_t all) { most = std::max(most, all); };
  const TrainerOutcome o = run.train_in(folder / "run");
  EXPECT_EQ(most, 3);
  EXPECT_EQ(o.after.tokens, 3 * kRowTokens);
  std::vector<std::string> names = {o.validated};
  for (const Validation& v : read_before(folder / "run")) names.push_back(v.name);
  for (const StepMetrics& m : metrics(folder / "run")) {
    EXPECT_EQ(m.validations.size(), m.step % 4 == 0 ? 1u : 0u) << m.step;
    for (const Validation& v : m.validations) names.push_back(v.name);
  }
  EXPECT_EQ(names, std::vector<std::string>(5, Validator(run.recipe, run.heldout).name()));
}

TEST(Validation, TheWholeTextHasFiguresOfItsOwn) {
  const TempFolder folder;
  small("guard.z=6").train_in(folder / "capped");
  const TrainerOutcome o = small("validation.full=true").train_in(folder / "full");
  EXPECT_EQ(o.after.tokens, 8 * kRowTokens);
  const auto a = metrics(folder / "capped"), b = metrics(folder / "full");
  for (const std::size_t step : {4, 8, 12}) {
    const auto &first = a[step - 1].validations, &both = b[step - 1].validations;
    ASSERT_EQ(both.size(), step == 12 ? 2u : 1u);
    EXPECT_EQ(first[0].name, both[0].name);
    EXPECT_EQ(first[0].bits_per_byte, both[0].bits_per_byte);
    if (step < 12) continue;
    EXPECT_TRUE(both[1].whole);
    EXPECT_EQ(both[1].rows, 8);
    EXPECT_EQ(both[1].name, o.validated);
    EXPECT_NE(both[1].name, both[0].name);
    EXPECT_NE(both[1].bits_per_byte, both[0].bits_per_byte);
  }
  const auto before = read_before(folder / "full");
  ASSERT_EQ(before.size(), 2u);
  EXPECT_EQ(before[1].name, o.validated);
}

// Stops in validation number `number` (0: the one before the first step), at once.
TrainerOutcome stopped_in(SmallRun run, const fs::path& folder, int number) {
  std::atomic<bool> stop{false};
  int seen = -1;
  std::int64_t passes = 0;
  run.stop = &stop;
  run.on_validation = [&](std::int64_t done, std::int64_t all) {
    passes += stop.load();
    seen += passes == 0 && (done <= 3);
    if (seen == number && (number != 3 || done == all || done <= 3)) stop = true;
  };
  const TrainerOutcome o = run.train_in(folder);
  EXPECT_EQ(passes, 0) << "it went on after the signal";
  return o;
}

TEST(Validation, OneThatIsCutShortIsMadeWhenTheRunGoesOn) {
  const TempFolder folder;
  const std::string full = "validation.full=true";
  small(full).train_in(folder / "calm");
  for (const int number : {1, 2, 3}) {
    SCOPED_TRACE(number);
    const fs::path run = folder / fmt::format("cut-{}", number);
    const TrainerOutcome cut = stopped_in(small(full), run, number);
    EXPECT_FALSE(cut.finished);
    EXPECT_EQ(cut.step, 4 * number);
    EXPECT_EQ(list_checkpoints(run).back(), 4 * number);
    EXPECT_EQ(metrics(run).size(), static_cast<std::size_t>(4 * number - 1)) << "the step waits for its validation";
    SmallRun rest = small(full);
    EXPECT_TRUE(rest.train_in(run).finished);
    const auto a = metrics(folder / "calm"), b = metrics(run);
    ASSERT_EQ(b.size(), 12u);
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].lm_loss, b[i].lm_loss) << i;
      ASSERT_EQ(a[i].validations.size(), b[i].validations.size()) << i;
      for (std::size_t k = 0; k < a[i].validations.size(); ++k) {
        EXPECT_EQ(a[i].validations[k].name, b[i].validations[k].name);
        EXPECT_EQ(a[i].validations[k].lm_loss, b[i].validations[k].lm_loss);
      }
    }
    expect_same_tensors(checkpoint_dir(folder / "calm", 12), checkpoint_dir(run, 12));
    const TrainerState calm = read_state(checkpoint_dir(folder / "calm", 12)),
                       state = read_state(checkpoint_dir(run, 12));
    EXPECT_EQ(state.pending, "");
    EXPECT_EQ(state.best_step, calm.best_step);
    EXPECT_EQ(state.best_bits_per_byte, calm.best_bits_per_byte);
    SmallRun again = small(full);
    EXPECT_EQ(again.train_in(run).steps_made, 0);
  }
}

TEST(Validation, OneThatIsCutShortBeforeTheFirstStepLeavesNothing) {
  const TempFolder folder;
  const TrainerOutcome o = stopped_in(small("guard.z=6"), folder / "run", 0);
  EXPECT_EQ(o.step, 0);
  EXPECT_TRUE(list_checkpoints(folder / "run").empty());
  EXPECT_TRUE(read_before(folder / "run").empty());
  EXPECT_TRUE(small("guard.z=6").train_in(folder / "run").finished);
}

TEST(Validation, BestComparesTheSameRows) {
  const TempFolder folder;
  // At the end the whole text costs less than its first rows, of which one holds nothing but rare tokens.
  SmallRun run = small("validation.full=true");
  run.train_in(folder / "run");
  double best = 1e9;
  std::int64_t step = -1;
  for (const StepMetrics& m : metrics(folder / "run")) {
    if (m.validations.empty() || m.validations[0].bits_per_byte >= best) continue;
    best = m.validations[0].bits_per_byte;
    step = m.step;
  }
  const TrainerState state = read_state(checkpoint_dir(folder / "run", 12));
  EXPECT_EQ(state.best_step, step);
  EXPECT_EQ(state.best_bits_per_byte, best);
  EXPECT_EQ(state.validation, Validator(run.recipe, run.heldout).name());
}

TEST(Validation, AnotherTextRefuses) {
  const TempFolder folder;
  small("guard.z=6").train_in(folder / "run");
  SmallRun other = small("guard.z=6");
  other.heldout = text(8, 10);
  const std::string error = error_of([&] { other.train_in(folder / "run"); });
  EXPECT_NE(error.find("data.heldout: gives 'first 3 rows"), std::string::npos) << error;
}

TEST(Validation, AFinishedRunMayBeAskedForTheWholeText) {
  const TempFolder folder;
  small("guard.z=6").train_in(folder / "run");
  SmallRun asked = small("validation.full=true");
  const TrainerOutcome o = asked.train_in(folder / "run");
  EXPECT_EQ(o.steps_made, 0);
  EXPECT_EQ(o.after.tokens, 8 * kRowTokens);
  ASSERT_EQ(metrics(folder / "run").size(), 12u);
  EXPECT_EQ(metrics(folder / "run").back().validations.size(), 2u);
  SmallRun once = small("validation.full=true");
  bool validated = false;
  once.on_validation = [&](std::int64_t, std::int64_t) { validated = true; };
  once.train_in(folder / "run");
  EXPECT_FALSE(validated) << "it was measured already";
}

TEST(Validation, MetricsOfAnotherRunRefuse) {
  const TempFolder folder;
  small("guard.z=6").train_in(folder / "run");
  const fs::path file = folder / "run" / "metrics.jsonl";
  auto log = metrics(folder / "run");
  std::string others, cut;
  for (StepMetrics m : log) {
    if (m.step > 5) cut += to_json(m) + "\n";
    m.tokens *= 2;
    others += to_json(m) + "\n";
  }
  write_file_atomically(file, others);
  SmallRun refused = small("guard.z=6");
  const std::string error = error_of([&] { refused.train_in(folder / "run"); });
  EXPECT_NE(error.find("metrics.jsonl: 192 tokens after step 1: in this run there were 96"), std::string::npos)
      << error;
  EXPECT_EQ(read_file(file), others);
  write_file_atomically(file, cut);
  SmallRun noted = small("guard.z=6");
  noted.train_in(folder / "run");
  EXPECT_TRUE(noted.said("lacks 5 of the 12 steps"));
  fs::remove(file);
  SmallRun without = small("guard.z=6");
  without.train_in(folder / "run");
  EXPECT_TRUE(without.said("lacks 12 of the 12 steps"));
}

}  // namespace
}  // namespace hadal::train
