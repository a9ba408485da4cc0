// What a recipe may take of the memory, for the verbs that plan and train.
#pragma once

#include <cstddef>
#include <string>

#include "base/memory_limit.h"
#include "cli/command.h"
#include "train/plan.h"

namespace hadal::cli {

// --memory-limit: bytes or 8GiB and the like; 0 (the default): memory_limit().
void add_memory_limit(Command verb, std::size_t& bytes);
MemoryLimit limit_of(std::size_t option);

// A run whose data have been opened, before it begins.
struct MemoryNeed {
  const train::Recipe& recipe;
  const model::Config& config;
  std::size_t heldout_rows = 0;
  MemoryLimit limit;
};
// Throws Error if the run does not fit beside what the program and its data take: what it needs, what there is, and
// which --set would fit.
void require_memory(const kernels::Context& cx, const MemoryNeed& need);

// What this process holds now, and what a run adds to it beside its tensors: kernels' code, logs, buffers of
// checkpoints, a heap's gaps between small tensors.
std::size_t program_bytes();

std::string size_text(std::size_t bytes);  // "1.25 GiB", "13.5 MiB"

}  // namespace hadal::cli
