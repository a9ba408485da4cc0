// Speed of decoding one sequence, token by token, from a cache that holds `context` positions.
#pragma once

#include "engine/cache.h"
#include "kernels/profile.h"

namespace hadal::engine {

struct DecodeBench {
  nn::MlaForm form = nn::MlaForm::latent;
  std::int64_t context = 512, tokens = 64;
};

struct DecodeResult {
  double best = 0, median = 0, mean = 0;  // seconds of a token, trunk and logits
  double weight_bytes = 0;                // read for a token: every dense weight, the chosen experts, the head
  double cache_bytes = 0;                 // read for a token at the middle of the run
  double profiled_seconds = 0;            // of the one token that was profiled
  kernels::Profile profile;
  double bytes() const { return weight_bytes + cache_bytes; }
};

DecodeResult bench_decode(kernels::Context& cx, const model::CausalLm& model, const DecodeBench& settings);

}  // namespace hadal::engine
