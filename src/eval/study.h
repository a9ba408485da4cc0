// A study: several training runs that differ in little, each measured on held-out text. A run that has been trained
// and measured is not repeated; one that was interrupted goes on.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "eval/measure.h"
#include "text/tokenizer.h"
#include "train/metrics.h"
#include "train/recipe.h"

namespace hadal::eval {

struct Plan {
  std::string name;  // folder under the study's; also what tables call it
  std::string variant;
  train::Recipe recipe;
  std::string from;  // name of an earlier plan whose weights are the start; empty: the recipe says
};

struct RunResult {
  Plan plan;
  std::int64_t tokens = 0, steps = 0;
  double seconds = 0, flops = 0;  // of the training
  // Of the first step's batch, before any update: equal to the bit for runs with the same weights and data to begin
  // with. data_end: hash of where the run left each source of data.
  double first_loss = 0;
  std::uint64_t data_end = 0;
  // Greatest absolute gate bias at the end, and greatest change of one since the run began.
  double bias_max = 0, bias_change = 0;
  std::vector<KindResult> kinds;
  std::vector<train::StepMetrics> steps_log;
  train::Evaluation total() const { return total_of(kinds); }
};

struct Study {
  std::filesystem::path folder;
  std::vector<Plan> plans;
  std::vector<Kind> heldout;
  const text::Tokenizer* tokenizer = nullptr;
  const std::atomic<bool>* stop = nullptr;
  // Run number, of plans; tokens of all runs together so far; the run's last step, null before its first.
  std::function<void(std::size_t, std::int64_t, const train::StepMetrics*)> on_progress;
  std::function<void(const std::string&)> on_message;
  std::int64_t total_tokens() const;
};

// Shards of the recipe's tokenizer as a kind, in rows of its sequence length; most_rows 0: all. Throws Error for shards
// of another tokenizer, or fewer than two tokens.
Kind read_kind(const std::string& name, const std::filesystem::path& folder, const train::Recipe& recipe,
               const text::Tokenizer& tokenizer, std::int64_t most_rows);

// Trains and measures every plan, in order. Nothing if stopped: the same call goes on from there. Throws Error if a
// run's folder holds a run of another recipe, and what train::train throws.
std::optional<std::vector<RunResult>> run_study(const kernels::Context& cx, const Study& study);

// What the two studies' JSON files have in common for a run, as text of a JSON object.
std::string run_json(const RunResult& run);

}  // namespace hadal::eval
