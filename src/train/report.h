// report.html of a run, from its metrics.jsonl.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "model/config.h"

namespace hadal::train {

// Text that the trained model wrote. This folder cannot generate: a verb does and hands it in.
struct Sample {
  std::string how;  // a sentence: by which checkpoint, drawn how
  std::string prompt, text;
};

// Writes run_dir/report.html: figures before and after, curves of losses, learning rate, gradient norm, speed; MaxVio
// by layer; tokens per expert over time; MTP acceptance. Self-contained. Throws Error if metrics.jsonl cannot be read,
// or is not of a model like `config`.
void write_report(const std::filesystem::path& run_dir, const model::Config& config,
                  const std::optional<Sample>& sample = std::nullopt);

}  // namespace hadal::train
