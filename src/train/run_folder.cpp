#include "train/run_folder.h"

#include "base/error.h"
#include "train/checkpoint.h"
#include "train/trainer_state.h"

namespace hadal::train {

namespace {

const fs::path& made(const fs::path& dir) {
  std::error_code error;
  fs::create_directories(dir / "checkpoints", error);
  if (error) fail("cannot make the run folder {}: {}", dir.string(), error.message());
  return dir;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string list;
  for (const std::string& line : lines) list += (list.empty() ? "" : "; ") + line;
  return list;
}

fs::path newest_checkpoint(const fs::path& run_dir) {
  const std::vector<std::int64_t> steps = list_checkpoints(run_dir);
  return steps.empty() ? fs::path() : checkpoint_dir(run_dir, steps.back());
}

void require_unedited(const fs::path& run_dir, const Recipe& trained) {
  const fs::path file = run_dir / "recipe.toml";
  if (!fs::exists(file)) return;
  if (const auto changed = differences(trained, load_recipe(file, {})); !changed.empty()) {
    fail("{}: was edited: {} was trained with another recipe ({}): restore these keys, or remove the file",
         file.string(), newest_checkpoint(run_dir).string(), joined(changed));
  }
}

void require_same(const fs::path& run_dir, const Recipe& before, const Recipe& after) {
  const std::vector<std::string> changed = differences(before, after);
  if (changed.empty()) return;
  const std::int64_t more = after.train.tokens - before.train.tokens;
  if (changed.size() == 1 && more > 0) {
    const std::string message =
        fmt::format("{}: its schedules end after {} tokens; to train longer: ", run_dir.string(), before.train.tokens);
    const std::string command = longer_command(run_dir, before, more);
    const bool fits = message.size() + command.size() <= kMaxMessage;
    fail("{}{}", message, fits ? command : "start a new run from its weights (docs/training.md has the command)");
  }
  fail("{}: this run was started with another recipe ({}): use that one, or another --run folder", run_dir.string(),
       joined(changed));
}

}  // namespace

RunFolder::RunFolder(const fs::path& dir) : lock_(made(dir)), checkpoints_(dir / "checkpoints") {}

void RunFolder::require_in_place() const {
  for (const OpenFolder* folder : {static_cast<const OpenFolder*>(&lock_), &checkpoints_}) {
    if (!folder->in_place())
      fail("{}: was moved, removed or replaced while this run worked in it: the run stops and writes nothing more",
           folder->path().string());
  }
}

// Nothing is thrown away by itself: it may be a wrong mount, or a disk that should be looked after.
void fail_to_resume(const fs::path& run_dir, const std::string& problem) {
  const std::vector<std::int64_t> steps = list_checkpoints(run_dir);
  const std::string dir = newest_checkpoint(run_dir).string();
  const std::string what = problem.find(dir) == std::string::npos ? dir + ": " + problem : problem;
  if (steps.size() < 2) fail("{}; it is the only checkpoint: move {} away to start anew", what, run_dir.string());
  fail("{}; move {} away to go on from step {}", what, dir, steps[steps.size() - 2]);
}

std::optional<Recipe> trained_recipe(const fs::path& run_dir) {
  const fs::path dir = newest_checkpoint(run_dir);
  if (dir.empty()) return std::nullopt;
  try {
    return parse_recipe(read_state(dir).recipe, (dir / "trainer" / "state.json").string() + ": recipe", {});
  } catch (const Error& e) {
    fail_to_resume(run_dir, e.what());
  }
}

void require_same_recipe(const fs::path& run_dir, const Recipe& recipe) {
  const std::optional<Recipe> before = trained_recipe(run_dir);
  if (!before) return;
  require_same(run_dir, *before, recipe);
  require_unedited(run_dir, *before);
}

Recipe resumed_recipe(const fs::path& run_dir, const std::vector<std::string>& overrides) {
  if (!fs::is_directory(run_dir)) fail("{}: there is no such run folder", run_dir.string());
  if (fs::exists(run_dir / "trainer" / "state.json"))
    fail("{}: is a checkpoint: name the folder of its run, {}", run_dir.string(),
         fs::absolute(run_dir / ".." / "..").lexically_normal().string());
  const fs::path file = run_dir / "recipe.toml";
  const std::optional<Recipe> trained = trained_recipe(run_dir);
  if (!trained && !fs::exists(file))
    fail("{}: there is no run to resume: neither recipe.toml nor a checkpoint is there", run_dir.string());
  if (trained) require_unedited(run_dir, *trained);
  const auto with = [&](const std::vector<std::string>& settings) {
    return fs::exists(file) ? load_recipe(file, settings) : parse_recipe(to_toml(*trained), run_dir.string(), settings);
  };
  const Recipe before = with({});
  Recipe after = with(overrides);
  require_same(run_dir, before, after);
  return after;
}

std::string longer_command(const fs::path& run_dir, const Recipe& recipe, std::int64_t tokens) {
  return fmt::format("hadal pretrain {} --run NEW --init-from {} --set train.tokens={} --set data.seed={}",
                     (run_dir / "recipe.toml").string(), newest_checkpoint(run_dir).string(), tokens,
                     recipe.data.seed + 1);
}

}  // namespace hadal::train
