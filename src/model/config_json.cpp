// config.json as released files have it: what transformers and we load.
#include "base/json.h"
#include "model/config.h"

namespace hadal::model {

namespace {

json common_fields(const Config& c) {
  constexpr std::string_view kTypes[] = {"deepseek_v3", "deepseek_v2", "qwen2", "llama"};
  constexpr std::string_view kArchitectures[] = {"DeepseekV3ForCausalLM", "DeepseekV2ForCausalLM", "Qwen2ForCausalLM",
                                                 "LlamaForCausalLM"};
  const auto f = static_cast<int>(c.family);
  json j = {{"architectures", {kArchitectures[f]}},
            {"model_type", kTypes[f]},
            {"vocab_size", c.vocab_size},
            {"hidden_size", c.hidden_size},
            {"num_hidden_layers", c.num_hidden_layers},
            {"num_attention_heads", c.num_attention_heads},
            {"num_key_value_heads", c.num_key_value_heads},
            {"intermediate_size", c.intermediate_size},
            {"hidden_act", "silu"},
            {"rms_norm_eps", c.rms_norm_eps},
            {"max_position_embeddings", c.max_position_embeddings},
            {"tie_word_embeddings", c.tie_word_embeddings},
            {"initializer_range", c.initializer_range},
            {"attention_dropout", 0.0}};
  j["bos_token_id"] = c.bos_token_id < 0 ? json(nullptr) : json(c.bos_token_id);
  if (c.eos_token_ids.size() == 1) {
    j["eos_token_id"] = c.eos_token_ids[0];
  } else {
    j["eos_token_id"] = c.eos_token_ids.empty() ? json(nullptr) : json(c.eos_token_ids);
  }
  return j;
}

void add_mla(const Config& c, json& j) {
  j["q_lora_rank"] = c.q_lora_rank > 0 ? json(c.q_lora_rank) : json(nullptr);
  j["kv_lora_rank"] = c.kv_lora_rank;
  j["qk_nope_head_dim"] = c.qk_nope_head_dim;
  j["qk_rope_head_dim"] = c.qk_rope_head_dim;
  j["v_head_dim"] = c.v_head_dim;
  j["attention_bias"] = false;
  j["n_routed_experts"] = c.n_routed_experts;
  // transformers takes every layer from here on for a MoE layer.
  j["first_k_dense_replace"] = c.n_routed_experts > 0 ? c.first_k_dense_replace : c.num_hidden_layers;
  if (c.family == Family::deepseek_v3 || c.num_nextn_predict_layers > 0) {
    j["num_nextn_predict_layers"] = c.num_nextn_predict_layers;
  }
  if (c.mtp_hidden == MtpHidden::pre_norm) j["mtp_hidden"] = "pre_norm";
}

void add_moe(const Config& c, json& j) {
  constexpr std::string_view kMethods[] = {"greedy", "group_limited_greedy", "noaux_tc"};
  j["moe_intermediate_size"] = c.moe_intermediate_size;
  j["n_shared_experts"] = c.n_shared_experts;
  j["num_experts_per_tok"] = c.num_experts_per_tok;
  j["n_group"] = c.n_group;
  j["topk_group"] = c.topk_group;
  j["topk_method"] = kMethods[static_cast<int>(c.topk_method)];
  j["scoring_func"] = c.scoring_func == Scoring::sigmoid ? "sigmoid" : "softmax";
  j["norm_topk_prob"] = c.norm_topk_prob;
  j["routed_scaling_factor"] = c.routed_scaling_factor;
  j["moe_layer_freq"] = c.moe_layer_freq;
}

json rope_scaling(const RopeScaling& r) {
  if (r.type == RopeScaling::Type::none) return nullptr;
  json j = {
      {"type", ""}, {"factor", r.factor}, {"original_max_position_embeddings", r.original_max_position_embeddings}};
  if (r.type == RopeScaling::Type::yarn) {
    j["type"] = "yarn";
    j.update({{"beta_fast", r.beta_fast}, {"beta_slow", r.beta_slow}});
    // Left out where they say nothing: files without them stay without them.
    const RopeScaling none;
    if (r.mscale != none.mscale || r.mscale_all_dim != none.mscale_all_dim) {
      j.update({{"mscale", r.mscale}, {"mscale_all_dim", r.mscale_all_dim}});
    }
  } else {
    j.erase("type");
    j.update(
        {{"rope_type", "llama3"}, {"low_freq_factor", r.low_freq_factor}, {"high_freq_factor", r.high_freq_factor}});
  }
  return j;
}

}  // namespace

std::string config_json(const Config& c, DType dtype) {
  json j = common_fields(c);
  if (c.is_mla()) {
    add_mla(c, j);
    if (c.n_routed_experts > 0) add_moe(c, j);
  } else {
    j["head_dim"] = c.head_dim;
    if (c.family == Family::qwen2) j["use_sliding_window"] = false;
  }
  j["rope_theta"] = c.rope_theta;
  j["rope_scaling"] = rope_scaling(c.rope);
  j["torch_dtype"] = dtype == DType::bf16 ? "bfloat16" : "float32";
  return j.dump(2) + "\n";
}

}  // namespace hadal::model
