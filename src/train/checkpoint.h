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
#include "train/run_folder.h"
#include "train/trainer_state.h"

namespace hadal::train {

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
// empty). Throws Error if something cannot be written, or if the run's folder is not in place: then nothing there is
// touched.
void save_checkpoint(const RunFolder& run, const Trained& trained, const TrainerState& state,
                     const std::filesystem::path& tokenizer_dir, std::int64_t keep);

// The first field in which the model of a checkpoint differs from `config`, as "key: before -> now"; empty if none
// does.
std::string config_difference(const std::filesystem::path& dir, const model::Config& config);

// Loads masters, moments, moving average and gate biases of a checkpoint whose files have been checked; renews compute
// copies. Throws Error naming the file and tensor that the run does not have.
void load_checkpoint(const std::filesystem::path& dir, const kernels::Context& cx, const Trained& trained);

}  // namespace hadal::train
