// report.html of a run, from its metrics.jsonl.
#pragma once

#include <filesystem>

#include "model/config.h"

namespace hadal::train {

// Writes run_dir/report.html: curves of losses, learning rate, gradient norm, speed; MaxVio by layer; expert loads over
// time; MTP acceptance. Self-contained. Throws Error if metrics.jsonl cannot be read.
void write_report(const std::filesystem::path& run_dir, const model::Config& config);

}  // namespace hadal::train
