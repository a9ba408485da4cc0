// Held-out loss in bits per byte, balance of the experts and MTP acceptance, teacher-forced.
#pragma once

#include <functional>
#include <vector>

#include "model/causal_lm.h"

namespace hadal::train {

struct Evaluation {
  double nats = 0;                                  // sum over predicted tokens
  std::int64_t tokens = 0;                          // predicted tokens
  std::int64_t bytes = 0;                           // UTF-8 bytes of the predicted tokens
  std::vector<std::vector<std::int64_t>> loads_LE;  // over the whole text (MaxVio_global), MoE layers only
  // Module k: how often its greedy guess for token i + k + 1 is the trunk's own greedy choice there.
  std::vector<std::int64_t> drafts, accepted;
  double bits_per_byte() const;
  double loss() const;  // nats a token
  double max_violation_mean() const;
  double max_violation_worst() const;
  double acceptance(std::size_t module) const;
};

// rows: T + 1 tokens each, every one predicted once. bytes_of: UTF-8 bytes of a token. stop: asked between rows.
Evaluation evaluate(const kernels::Context& cx, const model::CausalLm& model,
                    const std::vector<std::vector<std::int32_t>>& rows,
                    const std::function<std::int64_t(std::int32_t)>& bytes_of,
                    const std::function<void(std::size_t)>& progress);

}  // namespace hadal::train
