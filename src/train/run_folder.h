// The folder of a run while a process works in it: held against other processes, and known again before anything is
// written, so that a run never writes into a folder that is no longer its own.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "train/recipe.h"

namespace hadal::train {

class RunFolder {
 public:
  // Makes the folder and RUN/checkpoints if they are not there. Throws Error if another process works in it.
  explicit RunFolder(const std::filesystem::path& dir);
  const std::filesystem::path& path() const { return lock_.path(); }
  // Whether RUN and RUN/checkpoints still lead to the folders that were opened.
  bool in_place() const { return lock_.in_place() && checkpoints_.in_place(); }
  // Throws Error if they do not: they were moved, removed or replaced.
  void require_in_place() const;

 private:
  FolderLock lock_;
  OpenFolder checkpoints_;
};

// The recipe that the newest checkpoint of a run was trained with; nothing if the run has none. Throws Error, with the
// way out, if that checkpoint's state is not what was saved.
std::optional<Recipe> trained_recipe(const std::filesystem::path& run_dir);

// A run that has been trained goes on with the recipe of its newest checkpoint alone: throws Error if `recipe`, or a
// RUN/recipe.toml that was edited, differs from it in a key that may not change. A run without a checkpoint may become
// any run.
void require_same_recipe(const std::filesystem::path& run_dir, const Recipe& recipe);

// The recipe of a run that is there, from RUN/recipe.toml or else its newest checkpoint, with overrides of keys that
// may change. Throws Error if there is no run, or naming what may not change.
Recipe resumed_recipe(const std::filesystem::path& run_dir, const std::vector<std::string>& overrides);

// The command that trains on from a run's newest checkpoint: a run's length sets its schedules, so it is another run.
std::string longer_command(const std::filesystem::path& run_dir, const Recipe& recipe, std::int64_t tokens);

// Throws Error: `problem` keeps the run from going on from its newest checkpoint, and how that is got out of the way.
[[noreturn]] void fail_to_resume(const std::filesystem::path& run_dir, const std::string& problem);

}  // namespace hadal::train
