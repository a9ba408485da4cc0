// A run stands for its newest checkpoint; what is no run stands for itself.
#include "base/model_folder.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temp_folder.h"

namespace hadal {
namespace {

TEST(ModelFolder, ARunStandsForItsNewestCheckpoint) {
  const test::TempFolder folder;
  const fs::path run = folder.path() / "run";
  fs::create_directories(run / "checkpoints");
  EXPECT_NE(test::error_of([&] { model_folder(run); }).find("run: is the folder of a run that has no checkpoint yet"),
            std::string::npos);
  for (const char* name : {"step-00000009", "step-00000010", "step-100000000", "step-99999999.tmp", "step-011", "best"})
    fs::create_directories(run / "checkpoints" / name);
  write_file_atomically(run / "checkpoints" / "step-99999999", "a file is no checkpoint");
  EXPECT_EQ(list_checkpoints(run), (std::vector<std::int64_t>{9, 10, 100000000}));
  EXPECT_EQ(model_folder(run), run / "checkpoints" / "step-100000000");
  EXPECT_EQ(model_folder(run / ""), run / "" / "checkpoints" / "step-100000000");
  EXPECT_EQ(model_folder(checkpoint_dir(run, 10)), checkpoint_dir(run, 10));
}

TEST(ModelFolder, WhatIsNoRunStandsForItself) {
  const test::TempFolder folder;
  EXPECT_EQ(model_folder(folder.path()), folder.path());
  EXPECT_EQ(model_folder(folder.path() / "none"), folder.path() / "none");
  EXPECT_EQ(model_folder("v3"), "v3");
  // A model beside which somebody keeps checkpoints.
  fs::create_directories(folder.path() / "checkpoints" / "step-00000001");
  write_file_atomically(folder.path() / "config.json", "{}");
  EXPECT_EQ(model_folder(folder.path()), folder.path());
}

}  // namespace
}  // namespace hadal
