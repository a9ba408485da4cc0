// A run is one run: what is moved, replaced or edited under it stops it, and it goes on with nothing but what was
// saved.
#include "train/run_folder.h"

#include <gtest/gtest.h>

#include <map>

#include "base/json.h"
#include "small_run.h"

namespace hadal::train {
namespace {

using test::error_of;
using test::TempFolder;

std::string tokens(std::int64_t rows) { return fmt::format("train.tokens={}", rows * kRowTokens); }

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::map<std::string, std::string> files_below(const fs::path& folder) {
  std::map<std::string, std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) all[entry.path().lexically_relative(folder)] = read_file(entry.path());
  }
  return all;
}

// Trains in `run`, saving every step, while `disturb` is done after step 3. Gives the error that ends it.
std::string disturbed(const fs::path& run, const std::function<void()>& disturb) {
  SmallRun small({tokens(40), "checkpoint.every=1"});
  small.on_step = [&](const StepMetrics& m) {
    if (m.step == 3) disturb();
  };
  return error_of([&] { small.train_in(run); });
}

constexpr const char* kStops = ": was moved, removed or replaced while this run worked in it: the run stops";

TEST(RunFolder, AFolderThatIsMovedStopsTheRun) {
  const TempFolder folder;
  std::map<std::string, std::string> moved;
  const std::string error = disturbed(folder / "run", [&] {
    fs::rename(folder / "run", folder / "old");
    moved = files_below(folder / "old");
  });
  EXPECT_TRUE(contains(error, (folder / "run").string() + kStops)) << error;
  EXPECT_FALSE(fs::exists(folder / "run")) << "a new folder was made";
  EXPECT_EQ(files_below(folder / "old"), moved);
  EXPECT_EQ(list_checkpoints(folder / "old"), (std::vector<std::int64_t>{1, 2}));
  // Where it lies now, the run goes on.
  EXPECT_TRUE(SmallRun({tokens(40), "checkpoint.every=1"}).train_in(folder / "old").finished);
}

TEST(RunFolder, AFolderThatIsRemovedStopsTheRun) {
  const TempFolder folder;
  const std::string error = disturbed(folder / "run", [&] { fs::remove_all(folder / "run"); });
  EXPECT_TRUE(contains(error, kStops)) << error;
  EXPECT_FALSE(fs::exists(folder / "run"));
}

TEST(RunFolder, NothingIsWrittenIntoAnotherRunsFolder) {
  const TempFolder folder;
  SmallRun({tokens(8), "checkpoint.every=1", "model.seed=7"}).train_in(folder / "other");
  const auto others = files_below(folder / "other");
  const std::string error = disturbed(folder / "run", [&] {
    fs::rename(folder / "run", folder / "old");
    fs::copy(folder / "other", folder / "run", fs::copy_options::recursive);
  });
  EXPECT_TRUE(contains(error, kStops)) << error;
  EXPECT_EQ(files_below(folder / "run"), others);
}

TEST(RunFolder, ALinkThatLeadsElsewhereStopsTheRun) {
  const TempFolder folder;
  fs::create_directories(folder / "a");
  fs::create_directories(folder / "b");
  fs::create_directory_symlink(folder / "a", folder / "run");
  const std::string error = disturbed(folder / "run", [&] {
    fs::remove(folder / "run");
    fs::create_directory_symlink(folder / "b", folder / "run");
  });
  EXPECT_TRUE(contains(error, kStops)) << error;
  EXPECT_TRUE(fs::is_empty(folder / "b"));
}

TEST(RunFolder, ReplacedCheckpointsStopTheRun) {
  const TempFolder folder;
  const std::string error = disturbed(folder / "run", [&] {
    fs::rename(folder / "run" / "checkpoints", folder / "aside");
    fs::create_directory(folder / "run" / "checkpoints");
  });
  EXPECT_TRUE(contains(error, (folder / "run" / "checkpoints").string() + kStops)) << error;
  EXPECT_TRUE(fs::is_empty(folder / "run" / "checkpoints"));
}

TEST(RunFolder, MetricsThatGoAreWrittenAgain) {
  const TempFolder folder;
  SmallRun small({tokens(24), "checkpoint.every=1"});
  small.on_step = [&](const StepMetrics& m) {
    if (m.step == 2) fs::remove(folder / "run" / "metrics.jsonl");
    if (m.step == 4) write_file_atomically(folder / "run" / "metrics.jsonl", "mine\n");
    if (m.step == 5) fs::remove_all(folder / "run" / "tensorboard");
  };
  small.train_in(folder / "run");
  EXPECT_TRUE(small.said("metrics.jsonl was removed or replaced"));
  EXPECT_TRUE(small.said("the event file was removed or replaced"));
  EXPECT_EQ(read_metrics(folder / "run" / "metrics.jsonl").size(), 6u);
  EXPECT_FALSE(fs::is_empty(folder / "run" / "tensorboard"));
}

// A run of six steps, all of them saved.
class SavedRun : public ::testing::Test {
 protected:
  // Trained once for all cases of this suite.
  static const fs::path& saved() {
    static const TempFolder folder;
    static const fs::path run = folder / "run";
    if (!fs::exists(run)) small().train_in(run);
    return run;
  }
  static SmallRun small(const std::string& also = "guard.z=6") {
    return SmallRun({tokens(24), "checkpoint.every=1", "optimizer.ema=0.9", also});
  }
  // A fresh copy, and its newest checkpoint.
  fs::path copy() {
    fs::remove_all(folder_ / "run");
    fs::copy(saved(), folder_ / "run", fs::copy_options::recursive);
    return checkpoint_dir(folder_ / "run", 6);
  }
  // The error of going on; it must leave everything as it is.
  std::string refusal(SmallRun run = small()) {
    const auto before = files_below(folder_ / "run");
    std::string error = error_of([&] { run.train_in(folder_ / "run"); });
    EXPECT_EQ(files_below(folder_ / "run"), before);
    return error;
  }
  TempFolder folder_;
};

TEST_F(SavedRun, GoesOnAsItIs) {
  copy();
  EXPECT_TRUE(small().train_in(folder_ / "run").finished);
}

TEST_F(SavedRun, EveryValueOfTheStateBelongsToIt) {
  const json state = read_json(copy() / "trainer" / "state.json");
  for (const auto& [key, value] : state.items()) {
    const fs::path dir = copy();
    json edited = state;
    if (value.is_number_integer()) {
      edited[key] = value.get<std::int64_t>() + 1;
    } else if (value.is_number()) {
      edited[key] = value.get<double>() + 0.5;
    } else if (value.is_string()) {
      edited[key] = value.get<std::string>() + " ";
    } else {
      edited[key].erase("config.json");
    }
    write_file_atomically(dir / "trainer" / "state.json", edited.dump(1));
    const std::string error = refusal();
    EXPECT_TRUE(contains(error, "step-00000006/trainer/state.json")) << key << ": " << error;
  }
}

TEST_F(SavedRun, EveryFileBelongsToIt) {
  std::vector<std::string> names;
  for (const auto& [name, content] : files_below(copy())) names.push_back(name);
  EXPECT_GE(names.size(), 6u);  // weights, moments, average, config.json, generation_config.json, state
  for (const std::string& name : names) {
    fs::path file = copy() / name;
    std::string content = read_file(file);
    content[content.size() / 2] ^= 1;
    write_file_atomically(file, content);
    std::string error = refusal();
    EXPECT_TRUE(contains(error, file.string())) << name << ": " << error;
    fs::remove(copy() / name);
    error = refusal();
    EXPECT_TRUE(contains(error, file.string())) << name << ": " << error;
    copy();  // the same file, of another step
    if (name == "config.json" || name == "generation_config.json") continue;
    fs::copy_file(checkpoint_dir(folder_ / "run", 5) / name, file, fs::copy_options::overwrite_existing);
    error = refusal();
    EXPECT_TRUE(contains(error, "step-00000006")) << name << ": " << error;
  }
}

TEST_F(SavedRun, ACheckpointOfAnotherStepOrRunRefuses) {
  fs::path dir = copy();
  fs::remove_all(dir / "trainer");
  fs::copy(checkpoint_dir(folder_ / "run", 5) / "trainer", dir / "trainer");
  EXPECT_TRUE(contains(refusal(), "is of step 5"));
  dir = copy();
  fs::rename(dir, checkpoint_dir(folder_ / "run", 60));
  EXPECT_TRUE(contains(refusal(), "is of step 6"));
  small("model.seed=9").train_in(folder_ / "other");
  dir = copy();
  fs::remove_all(dir);
  fs::copy(checkpoint_dir(folder_ / "other", 6), dir, fs::copy_options::recursive);
  EXPECT_TRUE(contains(refusal(), "model.seed: 9 -> 1"));
  fs::remove(folder_ / "run" / "recipe.toml");
  EXPECT_TRUE(contains(refusal(), "model.seed: 9 -> 1"));
}

TEST_F(SavedRun, TheRecipeIsThatOfTheCheckpoint) {
  copy();
  fs::remove(folder_ / "run" / "recipe.toml");
  EXPECT_TRUE(contains(refusal(small("lr.peak=0.5")), "lr.peak: 0.01 -> 0.5"));
  EXPECT_TRUE(small().train_in(folder_ / "run").finished) << "the checkpoint's own recipe is enough";
  copy();
  const fs::path file = folder_ / "run" / "recipe.toml";
  std::string text = read_file(file);
  text.replace(text.find("peak = 0.01"), 11, "peak = 0.02");
  write_file_atomically(file, text);
  EXPECT_TRUE(contains(refusal(), file.string() + ": was edited")) << refusal();
  EXPECT_TRUE(contains(refusal(small("lr.peak=0.02")), "lr.peak: 0.01 -> 0.02"));
}

TEST_F(SavedRun, TheModelIsThatOfTheCheckpoint) {
  copy();
  SmallRun run = small();
  run.config.rope_theta *= 2;
  const std::string error = refusal(std::move(run));
  EXPECT_TRUE(contains(error, "config.json: the recipe now gives another model: rope_theta")) << error;
}

TEST_F(SavedRun, LongerTrainingIsAnotherRun) {
  copy();
  const std::string error = refusal(SmallRun({tokens(32), "checkpoint.every=1", "optimizer.ema=0.9"}));
  const std::string command = fmt::format(
      "hadal pretrain {0}/recipe.toml --run NEW --init-from {0}/checkpoints/step-00000006 --set "
      "train.tokens={1} --set data.seed=2",
      (folder_ / "run").string(), 8 * kRowTokens);
  EXPECT_TRUE(contains(error, "its schedules end after 576 tokens; to train longer: " + command)) << error;
}

TEST_F(SavedRun, ResumedRecipeIsThatOfTheRun) {
  copy();
  const fs::path run = folder_ / "run";
  EXPECT_EQ(to_toml(resumed_recipe(run, {})), to_toml(small().recipe));
  EXPECT_EQ(resumed_recipe(run, {"checkpoint.keep=7"}).checkpoint.keep, 7);
  EXPECT_TRUE(contains(error_of([&] { resumed_recipe(run, {"lr.peak=1"}); }), "lr.peak: 0.01 -> 1"));
  EXPECT_TRUE(
      contains(error_of([&] { resumed_recipe(checkpoint_dir(run, 6), {}); }), "is a checkpoint: name the folder"));
  EXPECT_TRUE(contains(error_of([&] { resumed_recipe(folder_ / "none", {}); }), "there is no such run folder"));
  EXPECT_TRUE(contains(error_of([&] { resumed_recipe(folder_ / ".", {}); }), "there is no run to resume"));
  fs::remove(run / "recipe.toml");
  EXPECT_EQ(to_toml(resumed_recipe(run, {})), to_toml(small().recipe));
  EXPECT_EQ(resumed_recipe(run, {"checkpoint.keep=7"}).checkpoint.keep, 7);
}

TEST(RunFolder, OneInWhichNothingWasTrainedIsUsedAgain) {
  const TempFolder folder;
  {
    SmallRun first({tokens(24), "train.rows=2"});
    first.on_step = [](const StepMetrics& m) {
      if (m.step == 3) fail("the run fails");
    };
    EXPECT_EQ(error_of([&] { first.train_in(folder / "run"); }), "the run fails");
  }
  EXPECT_TRUE(fs::exists(folder / "run" / "recipe.toml"));
  write_file_atomically(folder / "run" / "metrics.jsonl", "nothing that anybody could read\n");
  EXPECT_TRUE(SmallRun({tokens(24), "lr.peak=0.02"}).train_in(folder / "run").finished);
  EXPECT_EQ(read_metrics(folder / "run" / "metrics.jsonl").size(), 6u);
}

TEST(RunFolder, WhatCannotWorkMakesNoFolder) {
  const TempFolder folder;
  const std::string error = error_of([&] { SmallRun({tokens(24), "model.init_from=none"}).train_in(folder / "run"); });
  EXPECT_TRUE(contains(error, "none")) << error;
  EXPECT_FALSE(fs::exists(folder / "run"));
}

}  // namespace
}  // namespace hadal::train
