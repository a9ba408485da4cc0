// The pre-training objective (SPEC §3.1, §2.3): main cross-entropy + lambda/D * sum of MTP losses + alpha * balance
// loss; for comparison, V2's device and communication losses with alphas of their own.
#pragma once

#include <vector>

#include "model/causal_lm.h"

namespace hadal::train {

// Rows of T + 1 tokens: inputs are the first T, targets the last T. documents: with a document mask, the starts of the
// documents inside each row (first 0); targets that cross into the next document are then left out of the loss.
// contexts: places in each row, rising, of tokens that are no targets.
struct TrainRows {
  std::vector<std::vector<std::int32_t>> tokens;
  std::vector<std::vector<std::int32_t>> documents;  // empty: no mask
  std::vector<std::vector<std::int32_t>> contexts;   // empty: every token is a target
  std::int64_t loss_tokens() const;  // the divisor's share of these rows: B * T, those left out included
};

struct ObjectiveSettings {
  double mtp_lambda = 0;
  double balance_alpha = 0;
  // Divisors of the global batch (all micro-batches and ranks): tokens for the cross-entropies, rows for the balance
  // loss.
  std::int64_t global_tokens = 0, global_rows = 0;
  nn::Recompute recompute = nn::Recompute::none;
  std::vector<Tensor> forced_routing;  // as model::Batch has it
  double device_alpha = 0, communication_alpha = 0;
};

struct ObjectiveResult {
  double main = 0;          // sum of nll / global_tokens
  std::vector<double> mtp;  // the same for each MTP module
  // Sums over rows and MoE layers of ops::GateResult's losses, / global_rows; before the alphas.
  double balance = 0, device_balance = 0, communication_balance = 0;
  double total(const ObjectiveSettings& s) const;
  std::vector<std::vector<std::int64_t>> loads_LE;  // MoE layers, then MTP modules
};

// Forward; and, if the model's parameters are watched, backward into their gradients.
ObjectiveResult run_objective(const kernels::Context& cx, model::CausalLm& model, const TrainRows& rows,
                              const ObjectiveSettings& settings);

}  // namespace hadal::train
