// Checkpoints (DESIGN §6): a Hugging Face folder in f32 (the master weights), plus trainer/ with everything else the
// next step reads. A checkpoint appears under its name by one rename of a finished, synced folder: no half of one is
// ever seen.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/model_folder.h"
#include "train/ema.h"
#include "train/optimizer.h"
#include "train/recipe.h"

namespace hadal::train {

// What is not a tensor. updates: steps that were applied, not skipped. loader, guard: as data::Loader and SpikeGuard
// give their state.
struct TrainerState {
  std::int64_t step = 0, tokens = 0, updates = 0;
  std::string loader, guard;
  std::string recipe;  // TOML as resolved
  double best_bits_per_byte = 0;
  std::int64_t best_step = -1;  // -1: none yet
  std::string build, isa;       // of the run that wrote it
  double seconds = 0;           // trained so far
};

// The tensors of a run.
struct Trained {
  model::CausalLm& model;
  Optimizer& optimizer;
  Ema& ema;
};

// The program that runs: version, commit, compiler, flags; as `hadal --version` prints it. Written at build time by
// cmake/build_id.cmake.
std::string build_id();

using hadal::checkpoint_dir;
using hadal::list_checkpoints;
// Removes what interrupted saves left behind. Only for the one who holds the run folder: it would hurt a running save.
void remove_unfinished(const std::filesystem::path& run_dir);

// Saves and then removes all but the `keep` latest and the best. tokenizer_dir: files copied beside the model (may be
// empty).
void save_checkpoint(const std::filesystem::path& run_dir, const Trained& trained, const TrainerState& state,
                     const std::filesystem::path& tokenizer_dir, std::int64_t keep);

// Loads masters, moments, moving average and gate biases; renews compute copies. Throws Error naming the file that is
// missing or damaged.
TrainerState load_checkpoint(const std::filesystem::path& dir, const kernels::Context& cx, const Trained& trained);
// The state alone.
TrainerState read_state(const std::filesystem::path& dir);

}  // namespace hadal::train
