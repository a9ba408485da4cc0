#include "model/config_fields.h"
#include "base/json.h"

#include <algorithm>
#include <iterator>

namespace hadal::model {

namespace {

constexpr std::string_view kSoftware[] = {
    // which classes and files, of which version
    "architectures", "auto_map", "base_model_pp_plan", "base_model_tp_plan", "base_model_ep_plan", "custom_pipelines",
    "dtype", "torch_dtype", "finetuning_task", "framework", "library_name", "license", "model_name", "name_or_path",
    "pretrained_model_name_or_path", "tokenizer_class", "tokenizer_name", "transformers_version",
    "transformers.js_config", "_name_or_path", "_commit_hash", "_from_model_config", "_class_name",
    "_diffusers_version", "_auto_class", "_pre_quantization_dtype", "peft_version", "peft_type", "axolotl_version",
    "adapter_name",
    // how it is run
    "attn_implementation", "experts_implementation", "use_flash_attention", "use_flash_attention_2", "use_flash_attn",
    "chunk_size_feed_forward", "fp16", "bf16", "gradient_checkpointing", "keys_to_ignore_at_inference",
    "low_cpu_mem_usage", "output_attentions", "output_hidden_states", "output_router_logits", "pretraining_tp",
    "return_dict", "tf_legacy_loss", "torchscript", "use_bfloat16", "use_cache", "use_return_dict", "device_map",
    "max_sequence_length_for_export",
    // of classifiers and other tasks
    "id2label", "label2id", "num_labels", "problem_type", "task_specific_params", "prefix",
    // other special tokens: the tokenizer's files name them
    "pad_token_id", "unk_token_id", "sep_token_id", "cls_token_id", "mask_token_id", "decoder_start_token_id",
    "pad_token", "bos_token", "eos_token", "unk_token",
    // defaults of generation
    "max_length", "max_new_tokens", "min_length", "min_new_tokens", "do_sample", "early_stopping", "num_beams",
    "num_beam_groups", "diversity_penalty", "temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff",
    "eta_cutoff", "repetition_penalty", "length_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size",
    "bad_words_ids", "num_return_sequences", "output_scores", "return_dict_in_generate", "forced_bos_token_id",
    "forced_eos_token_id", "remove_invalid_values", "exponential_decay_length_penalty", "suppress_tokens",
    "begin_suppress_tokens", "renormalize_logits", "penalty_alpha", "cache_implementation",
    // of its training, which ended: nothing is dropped here
    "attention_dropout", "attention_probs_dropout_prob", "attn_pdrop", "classifier_dropout", "dropout", "embd_pdrop",
    "hidden_dropout", "hidden_dropout_prob", "resid_pdrop", "activation_dropout", "layerdrop"};

constexpr std::string_view kSoftwarePrefixes[] = {
    "unsloth_",  "_unsloth",  "_attn_implementation", "_experts_implementation", "_flash_attn", "_sdpa",
    "_use_sdpa", "_use_flash"};

// Features we do not compute; off at null, false, 0 and what is empty.
constexpr std::string_view kSwitches[] = {"add_cross_attention",
                                          "alibi",
                                          "attention_chunk_size",
                                          "attention_out_bias",
                                          "attn_logit_softcapping",
                                          "attn_temperature_tuning",
                                          "clip_qkv",
                                          "cross_attention_hidden_size",
                                          "final_logit_softcapping",
                                          "index_head_dim",
                                          "index_n_heads",
                                          "index_topk",
                                          "is_decoder",
                                          "is_encoder_decoder",
                                          "lm_head_bias",
                                          "logit_softcapping",
                                          "mlp_bias",
                                          "mlp_only_layers",
                                          "norm_bias",
                                          "num_experts",
                                          "num_local_experts",
                                          "parallel_attn",
                                          "pruned_heads",
                                          "qk_layernorm",
                                          "qk_norm",
                                          "qkv_bias",
                                          "router_bias",
                                          "router_jitter_noise",
                                          "sliding_window",
                                          "tie_encoder_decoder",
                                          "use_alibi",
                                          "use_bias",
                                          "use_mrope",
                                          "use_parallel_residual",
                                          "use_qk_norm",
                                          "use_qkv_bias",
                                          "use_sliding_window",
                                          "zero_expert_num"};

// Factors we do not multiply with; off at 1 and null.
constexpr std::string_view kFactors[] = {
    "embedding_multiplier",  "embedding_scale",     "logit_scale", "logits_scaling",
    "partial_rotary_factor", "residual_multiplier", "rotary_pct",  "scale_emb"};

template <std::size_t N>
bool has(const std::string_view (&list)[N], std::string_view name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

}  // namespace

bool is_software_field(std::string_view name) {
  return has(kSoftware, name) || std::any_of(std::begin(kSoftwarePrefixes), std::end(kSoftwarePrefixes),
                                             [&](std::string_view p) { return name.starts_with(p); });
}

bool is_feature(std::string_view name) { return has(kSwitches, name) || has(kFactors, name); }

bool is_off(std::string_view name, const json& value) {
  if (value.is_null()) return true;
  if (has(kFactors, name)) return value.is_number() && value == 1;
  if (!has(kSwitches, name)) return false;
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_number()) return value == 0;
  return (value.is_array() || value.is_object()) && value.empty();
}

const std::vector<std::string_view>& recipe_fields() {
  static const std::vector<std::string_view> all = {"model_type",
                                                    "hidden_size",
                                                    "num_hidden_layers",
                                                    "num_attention_heads",
                                                    "num_key_value_heads",
                                                    "head_dim",
                                                    "intermediate_size",
                                                    "hidden_act",
                                                    "rms_norm_eps",
                                                    "max_position_embeddings",
                                                    "tie_word_embeddings",
                                                    "initializer_range",
                                                    "bos_token_id",
                                                    "eos_token_id",
                                                    "attention_bias",
                                                    "mlp_bias",
                                                    "q_lora_rank",
                                                    "kv_lora_rank",
                                                    "qk_nope_head_dim",
                                                    "qk_rope_head_dim",
                                                    "v_head_dim",
                                                    "n_routed_experts",
                                                    "n_shared_experts",
                                                    "moe_intermediate_size",
                                                    "num_experts_per_tok",
                                                    "n_group",
                                                    "topk_group",
                                                    "topk_method",
                                                    "scoring_func",
                                                    "norm_topk_prob",
                                                    "routed_scaling_factor",
                                                    "first_k_dense_replace",
                                                    "moe_layer_freq",
                                                    "num_nextn_predict_layers",
                                                    "mtp_hidden",
                                                    "rope_theta",
                                                    "rope_scaling",
                                                    "rope_parameters"};
  return all;
}

}  // namespace hadal::model
