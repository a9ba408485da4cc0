// Choice of experts and their weights (SPEC §2.1, §2.2; V3 eq 13-16) with V3's and V2's balance losses (SPEC §2.3).
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

// The balance losses of a sequence of T tokens, with D groups of experts (devices) of which a token may use M, and
// P_i = mean over tokens of s_i / sum_j s_j:
//   expert (V3 eq 17-20; V2 §2.2.3, whose softmax scores sum to 1 as they are): sum_i f_i P_i, f_i = E / (k T) count_i
//   device (V2 §2.2.3): sum over groups of (mean of the group's f_i) (sum of its P_i)
//   communication (V2 §2.2.3): sum over groups of D / (M T) (tokens with an expert there) (sum of its P_i)
// f comes from the actual choice and has no gradient. A balance sequence is a training row: rows [starts[s],
// starts[s+1]) of the batch. Coefficients multiply the gradients: alpha / (number of sequences of the global batch).
struct Balance {
  std::vector<std::int64_t> starts;
  float coefficient = 0;  // of the expert loss
  float device_coefficient = 0, communication_coefficient = 0;
};

struct GateResult {
  Tensor ids_TK;      // i32, ascending in each row
  Tensor weights_TK;  // f32, in the order of ids; differentiable
  Tensor loads_E;     // i64: tokens of each expert
  // The losses summed over sequences, before any coefficient. With one group the last two are constants.
  double balance = 0, device_balance = 0, communication_balance = 0;
};

// forced: (T, k) i32 ascending expert numbers to use instead of the choice, or undefined.
GateResult gate(const kernels::Context& cx, const Tensor& logits, const Tensor& bias, const GateSettings& settings,
                const Tensor& forced, const Balance& balance);

}  // namespace hadal::ops
