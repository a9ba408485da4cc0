// From a row of logits to a token: repetition penalty, temperature, top-k, top-p, min-p, then a draw keyed by
// (seed, position). Filters as Hugging Face's warpers define them (fixtures: sampling.*).
#pragma once

#include <cstdint>
#include <span>

namespace hadal::engine {

struct SamplingSettings {
  double temperature = 1.0;         // 0: greedy, the highest logit, lowest id on ties
  std::int64_t top_k = 0;           // 0: off
  double top_p = 1.0;               // 1: off
  double min_p = 0.0;               // 0: off
  double repetition_penalty = 1.0;  // 0.001 to 1000
  std::uint64_t seed = 0;
  void check() const;  // Throws Error naming the setting that is out of range
};

// Changes logits in place; removed tokens become -inf. history: tokens so far (repetition penalty), each counted once.
void filter_logits(std::span<float> logits, const SamplingSettings& settings, std::span<const std::int32_t> history);

// The token at `position` of its sequence. logits are changed.
std::int32_t sample(std::span<float> logits, const SamplingSettings& settings, std::span<const std::int32_t> history,
                    std::int64_t position);

}  // namespace hadal::engine
