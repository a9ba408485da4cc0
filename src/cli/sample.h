// A short text that a run's newest checkpoint writes, for its report.
#pragma once

#include <atomic>
#include <filesystem>
#include <optional>

#include "kernels/context.h"
#include "train/report.h"

namespace hadal::cli {

// Kept in run/sample.json and generated again for another checkpoint. Nothing if `stop` was set meanwhile, or the
// checkpoint cannot write: then `problem` says why.
std::optional<train::Sample> sample_of(const std::filesystem::path& run, const std::filesystem::path& checkpoint,
                                       const kernels::Context& cx, const std::atomic<bool>& stop, std::string& problem);

}  // namespace hadal::cli
