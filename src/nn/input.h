// What every block gets beside its activations.
// Letters of nn/: T tokens of the flat batch, D hidden size, H heads, E experts, F expert width, K chosen experts, C
// kv_lora_rank.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "autograd/tape.h"
#include "kernels/packed.h"
#include "nn/read_next.h"
#include "ops/cache_view.h"
#include "ops/gate.h"
#include "ops/rope.h"
#include "tensor/tensor.h"

namespace hadal::nn {

// The two forms of MLA (SPEC §1.2, §1.3). A cache belongs to one form: expanded holds K and V per head, latent holds c
// and k_pe.
enum class MlaForm : std::uint8_t { expanded, latent };

// What a training forward keeps for its backward (docs/training.md has the bytes). selective: as V3 §3.2.1, outputs of
// norms, of MLA's up-projections and of SwiGLU, and the rows dispatched to experts, are made again from their inputs.
// blocks: a block's input alone is kept. The gradients are the same to the bit.
enum class Recompute : std::uint8_t { none, selective, blocks };

// Called with ("attention" | "ffn" | "output" | "experts" | "gate_weights", layer, value) as the forward goes, if set.
using Probe = std::function<void(std::string_view, std::int64_t, const Tensor&)>;

struct Input {
  const kernels::Context& cx;
  DType act = DType::f32;  // dtype of activations between linears
  bool fp8 = false;        // linears of blocks in fp8 (SPEC §6.2); act is then bf16
  Tensor positions_T;      // i32, for RoPE
  const ops::RopeTable& rope;
  std::span<const std::int64_t> seq_start;  // (S + 1): rows of each document or request
  // With a cache: keys come from it, positions of a sequence are counted in it; else the batch's rows are all there is.
  std::span<const ops::CacheSequence> cached;
  MlaForm form = MlaForm::expanded;
  std::int64_t crossover = 0;  // latent form: a sequence with more new tokens than this is expanded (SPEC §1.3)
  const ops::Balance* balance = nullptr;
  const Probe* probe = nullptr;
  Recompute recompute = Recompute::none;
  std::shared_ptr<const void> owner;  // of what the spans and `balance` see, for a block that runs again
};

// The weights with which a module begins; null where it has fewer.
using FirstWeights = std::array<const Tensor*, 3>;

// Whether it is worth while to say what is read next: a few tokens are decoded.
inline bool decodes(const Input& in) { return !in.cached.empty() && in.positions_T.numel() <= kernels::kFewRows; }

// While a few tokens are decoded: what the region after the next one reads (nn/read_next.h).
template <class... Weights>
void read_next(const Input& in, const Weights&... weights) {
  if (!decodes(in)) return;
  ReadNext next;
  (next.weight(weights), ...);
  next.after_next_region(in.cx);
}
inline void read_next(const Input& in, const FirstWeights& weights) {
  const Tensor none;
  const auto at = [&](std::size_t i) -> const Tensor& { return weights[i] != nullptr ? *weights[i] : none; };
  read_next(in, at(0), at(1), at(2));
}

// After the last op that reads `value`: with selective recompute its memory goes until the backward (autograd::forget).
template <class Again>
void forget(const Input& in, const Tensor& value, Again again) {
  if (in.recompute == Recompute::selective) autograd::forget(value, std::move(again));
}

}  // namespace hadal::nn
