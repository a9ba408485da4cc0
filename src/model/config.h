// A model's architecture: every switch is a named field, nothing is guessed from sizes (SPEC §4.3, §4.4).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/dtype.h"

namespace hadal::model {

enum class Family : std::uint8_t { deepseek_v3, deepseek_v2, qwen2, llama };
enum class TopkMethod : std::uint8_t { greedy, group_limited_greedy, noaux_tc };
enum class Scoring : std::uint8_t { softmax, sigmoid };
// Which hidden state of the trunk feeds hnorm of the first MTP module (SPEC §3.3).
enum class MtpHidden : std::uint8_t { post_norm, pre_norm };

struct RopeScaling {
  enum class Type : std::uint8_t { none, yarn, llama3 } type = Type::none;
  double factor = 1;
  std::int64_t original_max_position_embeddings = 4096;
  double beta_fast = 32, beta_slow = 1, mscale = 1, mscale_all_dim = 0;  // yarn
  double low_freq_factor = 1, high_freq_factor = 4;                      // llama3
  bool operator==(const RopeScaling&) const = default;
};

struct Config {
  Family family = Family::deepseek_v3;
  std::int64_t vocab_size = 0, hidden_size = 0, num_hidden_layers = 0, num_attention_heads = 0;
  // GQA (qwen2, llama)
  std::int64_t num_key_value_heads = 0, head_dim = 0;
  bool attention_bias = false;  // on q, k, v
  // MLA (deepseek); q_lora_rank 0 is the file's null
  std::int64_t q_lora_rank = 0, kv_lora_rank = 0, qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;
  // Feed-forward; n_routed_experts 0: a dense model
  std::int64_t intermediate_size = 0, moe_intermediate_size = 0, n_routed_experts = 0, n_shared_experts = 0;
  std::int64_t num_experts_per_tok = 0, n_group = 1, topk_group = 1;
  TopkMethod topk_method = TopkMethod::noaux_tc;
  Scoring scoring_func = Scoring::sigmoid;
  bool norm_topk_prob = true;
  double routed_scaling_factor = 1;
  std::int64_t first_k_dense_replace = 0, moe_layer_freq = 1;
  // MTP
  std::int64_t num_nextn_predict_layers = 0;
  MtpHidden mtp_hidden = MtpHidden::post_norm;

  double rms_norm_eps = 1e-6, rope_theta = 10000;
  RopeScaling rope;
  std::int64_t max_position_embeddings = 0;
  bool tie_word_embeddings = false;
  std::int64_t bos_token_id = -1;  // -1: none
  std::vector<std::int64_t> eos_token_ids;
  double initializer_range = 0.006;

  bool is_mla() const { return family == Family::deepseek_v3 || family == Family::deepseek_v2; }
  bool is_moe_layer(std::int64_t index) const {
    return n_routed_experts > 0 && index >= first_k_dense_replace && index % moe_layer_freq == 0;
  }
  // d_qk^-0.5, times m(factor, mscale_all_dim)² for YaRN (SPEC §1.6).
  double softmax_scale() const;
  bool operator==(const Config&) const = default;
};

// Fields of config.json that a recipe sets over a file or a preset: official name ("rope_scaling.factor" for one inside
// an object) to JSON text.
using ConfigFields = std::map<std::string, std::string>;

// Reads config.json (or a folder that has one), as if it also had `fields`. Throws Error naming the file, every field
// that is missing, or the field and the value that is not supported.
Config load_config(const std::filesystem::path& dir_or_json, const ConfigFields& fields = {});
// What transformers and we load; dtype goes to torch_dtype.
std::string config_json(const Config& config, DType dtype);
// tiny, demo, study, bench-100m, v2-lite, moonlight, v2, v3. Throws Error that lists them for any other name.
Config preset(std::string_view name);
Config preset(std::string_view name, const ConfigFields& fields);
bool is_preset(std::string_view name);
std::string preset_names();  // separated by commas

}  // namespace hadal::model
