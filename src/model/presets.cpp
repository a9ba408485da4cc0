#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "model/config.h"

namespace hadal::model {

namespace {

// What V3 and its relatives have in common (SPEC §4.3).
Config v3_like() {
  Config c;
  c.family = Family::deepseek_v3;
  c.topk_method = TopkMethod::noaux_tc;
  c.scoring_func = Scoring::sigmoid;
  c.norm_topk_prob = true;
  c.routed_scaling_factor = 2.5;
  c.bos_token_id = 0;
  c.eos_token_ids = {1};
  return c;
}

void set_heads(Config& c, std::int64_t heads, std::int64_t nope, std::int64_t rope, std::int64_t v) {
  c.num_attention_heads = c.num_key_value_heads = heads;
  c.qk_nope_head_dim = nope;
  c.qk_rope_head_dim = rope;
  c.v_head_dim = v;
}

void set_experts(Config& c, std::int64_t routed, std::int64_t shared, std::int64_t per_token, std::int64_t width,
                 std::int64_t groups, std::int64_t top_groups) {
  c.n_routed_experts = routed;
  c.n_shared_experts = shared;
  c.num_experts_per_tok = per_token;
  c.moe_intermediate_size = width;
  c.n_group = groups;
  c.topk_group = top_groups;
}

void set_yarn(Config& c, double mscale) {
  c.rope.type = RopeScaling::Type::yarn;
  c.rope.factor = 40;
  c.rope.original_max_position_embeddings = 4096;
  c.rope.mscale = c.rope.mscale_all_dim = mscale;
  c.max_position_embeddings = 163840;
}

Config v3() {
  Config c = v3_like();
  c.vocab_size = 129280;
  c.hidden_size = 7168;
  c.num_hidden_layers = 61;
  set_heads(c, 128, 128, 64, 128);
  c.q_lora_rank = 1536;
  c.kv_lora_rank = 512;
  c.intermediate_size = 18432;
  set_experts(c, 256, 1, 8, 2048, 8, 4);
  c.first_k_dense_replace = 3;
  c.num_nextn_predict_layers = 1;
  set_yarn(c, 1.0);
  c.initializer_range = 0.006;
  return c;
}

Config v2_like(double routed_scale, TopkMethod method) {
  Config c;
  c.family = Family::deepseek_v2;
  c.topk_method = method;
  c.scoring_func = Scoring::softmax;
  c.norm_topk_prob = false;
  c.routed_scaling_factor = routed_scale;
  c.vocab_size = 102400;
  c.first_k_dense_replace = 1;
  c.bos_token_id = 100000;
  c.eos_token_ids = {100001};
  return c;
}

Config v2() {
  Config c = v2_like(16, TopkMethod::group_limited_greedy);
  c.hidden_size = 5120;
  c.num_hidden_layers = 60;
  set_heads(c, 128, 128, 64, 128);
  c.q_lora_rank = 1536;
  c.kv_lora_rank = 512;
  c.intermediate_size = 12288;
  set_experts(c, 160, 2, 6, 1536, 8, 3);
  set_yarn(c, 0.707);
  return c;
}

Config v2_lite() {
  Config c = v2_like(1, TopkMethod::greedy);
  c.hidden_size = 2048;
  c.num_hidden_layers = 27;
  set_heads(c, 16, 128, 64, 128);
  c.kv_lora_rank = 512;
  c.intermediate_size = 10944;
  set_experts(c, 64, 2, 6, 1408, 1, 1);
  set_yarn(c, 0.707);
  return c;
}

Config moonlight() {
  Config c = v3_like();
  c.vocab_size = 163840;
  c.hidden_size = 2048;
  c.num_hidden_layers = 27;
  set_heads(c, 16, 128, 64, 128);
  c.kv_lora_rank = 512;
  c.intermediate_size = 11264;
  set_experts(c, 64, 2, 6, 1408, 1, 1);
  c.routed_scaling_factor = 2.446;
  c.first_k_dense_replace = 1;
  c.rope_theta = 50000;
  c.rms_norm_eps = 1e-5;
  c.max_position_embeddings = 8192;
  c.bos_token_id = 163584;
  c.eos_token_ids = {163586};
  return c;
}

Config bench_100m() {
  Config c = v3_like();
  c.vocab_size = 8192;
  c.hidden_size = 512;
  c.num_hidden_layers = 8;
  set_heads(c, 8, 64, 32, 64);
  c.q_lora_rank = 384;
  c.kv_lora_rank = 256;
  c.intermediate_size = 1536;
  set_experts(c, 32, 1, 4, 256, 4, 2);
  c.first_k_dense_replace = 1;
  c.max_position_embeddings = 4096;
  c.initializer_range = 0.022;
  return c;
}

// Widths are multiples of 256 and n_group > topk_group, so that an export loads in llama.cpp and takes k-quants (DESIGN
// §8).
Config demo() {
  Config c = v3_like();
  c.vocab_size = 2048;
  c.hidden_size = 256;
  c.num_hidden_layers = 3;
  set_heads(c, 4, 32, 32, 64);
  c.q_lora_rank = 128;
  c.kv_lora_rank = 256;
  c.intermediate_size = 512;
  set_experts(c, 16, 1, 2, 256, 4, 2);
  c.first_k_dense_replace = 1;
  c.num_nextn_predict_layers = 1;
  c.max_position_embeddings = 4096;
  c.initializer_range = 0.03;
  return c;
}

// What studies train many of: V3's gate without groups, 1M active parameters.
Config study() {
  Config c = v3_like();
  c.vocab_size = 2048;
  c.hidden_size = 128;
  c.num_hidden_layers = 4;
  set_heads(c, 4, 16, 16, 32);
  c.q_lora_rank = 64;
  c.kv_lora_rank = 64;
  c.intermediate_size = 384;
  set_experts(c, 16, 1, 4, 64, 1, 1);
  c.first_k_dense_replace = 1;
  c.max_position_embeddings = 4096;
  c.initializer_range = 0.03;
  return c;
}

Config tiny() {
  Config c = v3_like();
  c.vocab_size = 512;
  c.hidden_size = 64;
  c.num_hidden_layers = 3;
  set_heads(c, 4, 16, 8, 16);
  c.q_lora_rank = 32;
  c.kv_lora_rank = 32;
  c.intermediate_size = 160;
  set_experts(c, 8, 1, 2, 32, 4, 2);
  c.first_k_dense_replace = 1;
  c.num_nextn_predict_layers = 1;
  c.max_position_embeddings = 1024;
  c.initializer_range = 0.06;
  return c;
}

constexpr struct {
  std::string_view name;
  Config (*make)();
} kPresets[] = {{"tiny", tiny},       {"demo", demo},           {"study", study}, {"bench-100m", bench_100m},
                {"v2-lite", v2_lite}, {"moonlight", moonlight}, {"v2", v2},       {"v3", v3}};

}  // namespace

Config preset(std::string_view name) {
  for (const auto& p : kPresets) {
    if (p.name == name) return p.make();
  }
  fail("unknown preset '{}': there are {}", name, preset_names());
}

bool is_preset(std::string_view name) {
  return std::any_of(std::begin(kPresets), std::end(kPresets), [&](const auto& p) { return p.name == name; });
}

std::string preset_names() {
  std::string names;
  for (const auto& p : kPresets) names += (names.empty() ? "" : ", ") + std::string(p.name);
  return names;
}

}  // namespace hadal::model
