// What a trained model does on several kinds of held-out text, and JSON of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "model/causal_lm.h"
#include "train/evaluate.h"

namespace hadal::eval {

struct Kind {
  std::string name;
  std::vector<std::vector<std::int32_t>> rows;  // of T + 1 tokens, each predicted once
};

// Of all kinds, in order: names, lengths and tokens.
std::uint64_t hash_of(const std::vector<Kind>& kinds);
std::int64_t predicted_tokens(const Kind& kind);

struct KindResult {
  std::string name;
  train::Evaluation evaluation;
};

train::Evaluation total_of(const std::vector<KindResult>& kinds);

// For each MoE layer: mean over the kinds of the total variation distance, 0 to 1, between the loads of the experts on
// this kind and the mean of the kinds' loads (as shares). 0: every kind uses the experts alike.
std::vector<double> specialisation(const std::vector<KindResult>& kinds);

// Nats a token of the predictions from positions [1, 1], [2, 2], [3, 4], [5, 8] ... of a row, counted from 1; the last
// range ends with the row.
struct PositionRange {
  std::int64_t first = 0, last = 0;
  double loss = 0;
};
std::vector<PositionRange> loss_by_position(const train::Evaluation& e);

// Nothing if `stop` was set in between. on_progress: predicted tokens so far.
std::optional<std::vector<KindResult>> measure(const kernels::Context& cx, const model::CausalLm& model,
                                               const std::vector<Kind>& kinds,
                                               const std::function<std::int64_t(std::int32_t)>& bytes_of,
                                               const std::atomic<bool>* stop,
                                               const std::function<void(std::int64_t)>& on_progress);

// As text, whole sums, so that nothing is lost; from_text throws Error naming `what` if it is not that.
std::string to_text(const std::vector<KindResult>& kinds, const std::string& key);
// Nothing if the text was written under another key.
std::optional<std::vector<KindResult>> from_text(const std::string& text, const std::string& key,
                                                 const std::string& what);

}  // namespace hadal::eval
