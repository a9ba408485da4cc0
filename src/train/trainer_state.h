// trainer/state.json of a checkpoint: what is not a tensor, and the checksums by which all that the checkpoint holds
// belongs together.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace hadal::train {

// updates: steps that were applied, not skipped. loader, guard: as data::Loader and SpikeGuard give their state.
struct TrainerState {
  std::int64_t step = 0, tokens = 0, updates = 0;
  std::string loader, guard;
  std::string recipe;  // TOML as resolved
  double best_bits_per_byte = 0;
  std::int64_t best_step = -1;  // -1: none yet
  std::string build, isa;       // of the run that wrote it
  double seconds = 0;           // trained so far
  std::string validation;       // name of the rows that `best` was measured on; empty: none
  std::string pending;          // metrics of the step, as JSON, if its validation was cut short; empty: it was not
  // Of every other file of the checkpoint, by its path in there: filled by write_state.
  std::map<std::string, std::string> checksums;
};

// Writes trainer/state.json into a checkpoint that holds all its other files, with their checksums and one over the
// state itself, those included.
void write_state(const std::filesystem::path& checkpoint, TrainerState state);

// The state alone. Throws Error naming the file if it is no such state, was edited, or is another step's.
TrainerState read_state(const std::filesystem::path& checkpoint);

// Throws Error naming the first file that is missing or differs from what was saved.
void check_files(const std::filesystem::path& checkpoint, const TrainerState& state);

}  // namespace hadal::train
