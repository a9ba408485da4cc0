// Parameters, FLOPs and cache bytes of a config (SPEC §1.4, §4.5), counted from the same list of parameters that is
// built.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "model/config.h"

namespace hadal::model {

struct Accounting {
  std::vector<std::pair<std::string, std::int64_t>> components;  // of the main model, in the order of SPEC §4.5
  std::int64_t parameters = 0;                                   // main model, without MTP
  std::int64_t mtp_parameters = 0;                               // unique to the MTP modules
  std::int64_t mtp_copies = 0;                                   // what released files repeat of embedding and head
  // Used for one token: chosen and shared experts, everything else once; embedding and head counted or not.
  std::int64_t active_with_both = 0, active_head_only = 0, active_neither = 0;
  double train_flops_per_token = 0;   // at `sequence` tokens a row: 6 x active matmul parameters + 3 L H (d_qk + d_v) T
  double decode_flops_per_token = 0;  // 2 x active matmul parameters, attention aside
  std::int64_t kv_elements = 0;       // cache of a token: MLA latent + k_pe, or K and V heads
  std::int64_t kv_as_mha = 0, kv_as_gqa8 = 0;  // the same model with other attention, elements
};

Accounting account(const Config& config, std::int64_t sequence);

// FLOPs of a training token with rows of `sequence` tokens, MTP modules included.
double train_flops_per_token(const Config& config, std::int64_t sequence);

// DeepSeek-67B, what the paper's 93.3 % is measured against: GQA-8, 95 layers, heads of 128 (SPEC §1.4).
constexpr std::int64_t kDeepSeek67bKvElements = 194560;

}  // namespace hadal::model
