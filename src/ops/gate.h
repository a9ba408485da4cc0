// Choice of experts and their weights (SPEC §2.1, §2.2; V3 eq 13-16) with the sequence-wise balance loss (eq 17-20).
// logits (T, E) f32; bias (E) f32 or undefined, used for the choice only.
#pragma once

#include <vector>

#include "kernels/kernels.h"
#include "tensor/tensor.h"

namespace hadal::ops {

struct GateSettings {
  kernels::GateScore score = kernels::GateScore::sigmoid;
  kernels::GroupScore group_score = kernels::GroupScore::none;
  std::int64_t groups = 1, top_groups = 1, top_k = 1;
  bool normalise = true;
  float scale = 1;
};

// A balance sequence is a training row: rows [starts[s], starts[s+1]) of the batch. `coefficient` multiplies the
// gradient of each sequence's sum_i f_i P_i: alpha / (number of sequences of the global batch). f comes from the actual
// choice.
struct Balance {
  std::vector<std::int64_t> starts;
  float coefficient = 0;
};

struct GateResult {
  Tensor ids_TK;       // i32, ascending in each row
  Tensor weights_TK;   // f32, in the order of ids; differentiable
  Tensor loads_E;      // i64: tokens of each expert
  double balance = 0;  // sum over sequences of sum_i f_i P_i, before any coefficient
};

// forced: (T, k) i32 ascending expert numbers to use instead of the choice, or undefined.
GateResult gate(const kernels::Context& cx, const Tensor& logits, const Tensor& bias, const GateSettings& settings,
                const Tensor& forced, const Balance& balance);

}  // namespace hadal::ops
