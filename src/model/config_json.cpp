// config.json, strictly: a field that is not understood is an error, so that no architecture is silently substituted.
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "model/config.h"

namespace hadal::model {

namespace {

// Says nothing about what is computed at inference or in our training.
const std::set<std::string> kIgnored = {
    "architectures", "auto_map", "torch_dtype", "dtype", "transformers_version", "use_cache", "pretraining_tp", "aux_loss_alpha", "seq_aux",
    "ep_size", "attention_dropout", "initializer_range", "pad_token_id", "bos_token_id", "eos_token_id", "_name_or_path", "num_key_value_heads",
    "output_router_logits", "router_aux_loss_coef", "max_window_layers", "sliding_window", "layer_types", "rope_interleave", "head_dim",
    "return_dict", "output_hidden_states", "output_attentions", "is_encoder_decoder", "id2label", "label2id", "problem_type", "chunk_size_feed_forward",
    "unk_token_id", "sep_token_id", "decoder_start_token_id", "num_local_experts", "qk_head_dim", "default_theta", "mlp_layer_types", "model_type"};

class Reader {
 public:
  Reader(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) fail("{}: must be a JSON object", where_);
  }
  bool has(const std::string& key) const { return object_.contains(key) && !object_[key].is_null(); }

  std::int64_t integer(const std::string& key, std::int64_t missing, bool required = false) {
    if (!take(key, required)) return missing;
    const json& v = object_[key];
    if (!v.is_number() || v.get<double>() != std::floor(v.get<double>())) wrong(key, "an integer");
    return static_cast<std::int64_t>(v.get<double>());
  }
  std::int64_t positive(const std::string& key) {
    const std::int64_t v = integer(key, 0, true);
    if (v <= 0) wrong(key, "above 0");
    return v;
  }
  double number(const std::string& key, double missing, bool required = false) {
    if (!take(key, required)) return missing;
    if (!object_[key].is_number()) wrong(key, "a number");
    return object_[key].get<double>();
  }
  bool boolean(const std::string& key, bool missing) {
    if (!take(key, false)) return missing;
    if (!object_[key].is_boolean()) wrong(key, "true or false");
    return object_[key].get<bool>();
  }
  std::string string(const std::string& key, const std::string& missing) {
    if (!take(key, false)) return missing;
    if (!object_[key].is_string()) wrong(key, "a string");
    return object_[key].get<std::string>();
  }
  const json* object(const std::string& key) {
    if (!take(key, false)) return nullptr;
    if (!object_[key].is_object()) wrong(key, "an object");
    return &object_[key];
  }
  [[noreturn]] void wrong(const std::string& key, std::string_view rule) const {
    fail("{}: field '{}' = {}: must be {}", where_, key, object_.contains(key) ? object_[key].dump() : "missing", rule);
  }
  void finish(const std::set<std::string>& ignored) const {
    for (const auto& [key, value] : object_.items()) {
      if (!used_.contains(key) && !ignored.contains(key)) fail("{}: unknown field '{}' = {}: hadal does not know what it would change", where_, key, value.dump());
    }
  }
  const std::string& where() const { return where_; }

 private:
  bool take(const std::string& key, bool required) {
    used_.insert(key);
    if (has(key)) return true;
    if (required) fail("{}: field '{}' is missing", where_, key);
    return false;
  }
  const json& object_;
  std::string where_;
  std::set<std::string> used_;
};

Family family_of(Reader& r) {
  const std::string type = r.string("model_type", "");
  if (type == "deepseek_v3") return Family::deepseek_v3;
  if (type == "deepseek_v2") return Family::deepseek_v2;
  if (type == "qwen2") return Family::qwen2;
  if (type == "llama") return Family::llama;
  r.wrong("model_type", "deepseek_v3, deepseek_v2, qwen2 or llama");
}

RopeScaling read_scaling(const json& object, const std::string& where, const Config& c, double* theta) {
  Reader r(object, where);
  RopeScaling s;
  std::string type = r.string("rope_type", "");
  const std::string old = r.string("type", type);
  if (type.empty()) type = old;
  if (r.has("rope_theta")) *theta = r.number("rope_theta", 0);
  if (type == "default" || type.empty()) {
    r.finish({"partial_rotary_factor"});
    return s;
  }
  s.factor = r.number("factor", 1, true);
  s.original_max_position_embeddings = r.integer("original_max_position_embeddings", c.max_position_embeddings);
  if (type == "yarn") {
    s.type = RopeScaling::Type::yarn;
    s.beta_fast = r.number("beta_fast", 32);
    s.beta_slow = r.number("beta_slow", 1);
    s.mscale = r.number("mscale", 1);
    s.mscale_all_dim = r.number("mscale_all_dim", 0);
    if (!c.is_mla()) r.wrong(r.has("rope_type") ? "rope_type" : "type", "llama3 or default for this model_type");
  } else if (type == "llama3") {
    s.type = RopeScaling::Type::llama3;
    s.low_freq_factor = r.number("low_freq_factor", 1, true);
    s.high_freq_factor = r.number("high_freq_factor", 4, true);
  } else {
    r.wrong(r.has("rope_type") ? "rope_type" : "type", "yarn, llama3 or default");
  }
  r.finish({"partial_rotary_factor"});
  return s;
}

void read_rope(Reader& r, Config& c) {
  c.rope_theta = r.number("rope_theta", 10000);
  const json* scaling = r.object("rope_scaling");
  const json* parameters = r.object("rope_parameters");  // the newer spelling holds theta, too
  if (const json* object = parameters != nullptr ? parameters : scaling) {
    c.rope = read_scaling(*object, r.where() + ": " + (parameters != nullptr ? "rope_parameters" : "rope_scaling"), c, &c.rope_theta);
  }
}

void read_gate(Reader& r, Config& c) {
  const bool v3 = c.family == Family::deepseek_v3;
  c.n_shared_experts = r.integer("n_shared_experts", 0);
  c.num_experts_per_tok = r.positive("num_experts_per_tok");
  c.n_group = r.integer("n_group", 1);
  c.topk_group = r.integer("topk_group", 1);
  c.routed_scaling_factor = r.number("routed_scaling_factor", 1);
  c.norm_topk_prob = r.boolean("norm_topk_prob", v3);
  c.first_k_dense_replace = r.integer("first_k_dense_replace", 0);
  c.moe_layer_freq = r.integer("moe_layer_freq", 1);
  c.moe_intermediate_size = r.positive("moe_intermediate_size");
  const std::string method = r.string("topk_method", v3 ? "noaux_tc" : "greedy");
  if (v3 && method != "noaux_tc") r.wrong("topk_method", "noaux_tc for deepseek_v3");
  if (method == "noaux_tc") {
    c.topk_method = TopkMethod::noaux_tc;
  } else if (method == "greedy") {
    c.topk_method = TopkMethod::greedy;
  } else if (method == "group_limited_greedy") {
    c.topk_method = TopkMethod::group_limited_greedy;
  } else {
    r.wrong("topk_method", "noaux_tc, greedy or group_limited_greedy");
  }
  if (!v3 && c.topk_method == TopkMethod::noaux_tc) r.wrong("topk_method", "greedy or group_limited_greedy for deepseek_v2");
  const std::string scoring = r.string("scoring_func", v3 ? "sigmoid" : "softmax");
  if (scoring != (v3 ? "sigmoid" : "softmax")) r.wrong("scoring_func", v3 ? "sigmoid for deepseek_v3" : "softmax for deepseek_v2");
  c.scoring_func = v3 ? Scoring::sigmoid : Scoring::softmax;
  if (c.num_experts_per_tok > c.n_routed_experts) r.wrong("num_experts_per_tok", "at most n_routed_experts");
  if (c.n_group < 1 || c.n_routed_experts % c.n_group != 0) r.wrong("n_group", "a divisor of n_routed_experts");
  if (c.topk_group < 1 || c.topk_group > c.n_group) r.wrong("topk_group", "from 1 to n_group");
  const bool grouped = c.topk_method != TopkMethod::greedy;
  if (grouped && c.num_experts_per_tok > c.topk_group * (c.n_routed_experts / c.n_group)) {
    r.wrong("num_experts_per_tok", "at most the experts of topk_group groups");
  }
  if (c.moe_layer_freq < 1) r.wrong("moe_layer_freq", "above 0");
}

void read_mla(Reader& r, Config& c) {
  c.q_lora_rank = r.integer("q_lora_rank", 0);
  c.kv_lora_rank = r.positive("kv_lora_rank");
  c.qk_nope_head_dim = r.positive("qk_nope_head_dim");
  c.qk_rope_head_dim = r.positive("qk_rope_head_dim");
  c.v_head_dim = r.positive("v_head_dim");
  if (c.qk_rope_head_dim % 2 != 0) r.wrong("qk_rope_head_dim", "even");
  c.num_key_value_heads = c.num_attention_heads;
  if (r.boolean("attention_bias", false)) r.wrong("attention_bias", "false for this model_type");
  if (!r.boolean("rope_interleave", true)) r.wrong("rope_interleave", "true: DeepSeek's checkpoints are interleaved");
  c.n_routed_experts = r.integer("n_routed_experts", 0);
  if (c.n_routed_experts > 0) read_gate(r, c);
  c.num_nextn_predict_layers = r.integer("num_nextn_predict_layers", 0);
}

void read_gqa(Reader& r, Config& c) {
  c.num_key_value_heads = r.integer("num_key_value_heads", c.num_attention_heads);
  if (c.num_key_value_heads < 1 || c.num_attention_heads % c.num_key_value_heads != 0) r.wrong("num_key_value_heads", "a divisor of num_attention_heads");
  c.head_dim = r.integer("head_dim", c.hidden_size / c.num_attention_heads);
  if (c.head_dim < 2 || c.head_dim % 2 != 0) r.wrong("head_dim", "even and above 0");
  c.attention_bias = r.boolean("attention_bias", c.family == Family::qwen2);
  if (c.family == Family::llama && c.attention_bias) r.wrong("attention_bias", "false for llama");
  if (r.boolean("mlp_bias", false)) r.wrong("mlp_bias", "false");
  if (r.boolean("use_sliding_window", false)) r.wrong("use_sliding_window", "false");
}

}  // namespace

Config load_config(const std::filesystem::path& dir_or_json) {
  const fs::path path = fs::is_directory(dir_or_json) ? dir_or_json / "config.json" : dir_or_json;
  const json j = read_json(path);
  Reader r(j, path.string());
  Config c;
  c.family = family_of(r);
  c.vocab_size = r.positive("vocab_size");
  c.hidden_size = r.positive("hidden_size");
  c.num_hidden_layers = r.positive("num_hidden_layers");
  c.num_attention_heads = r.positive("num_attention_heads");
  c.intermediate_size = r.positive("intermediate_size");
  c.max_position_embeddings = r.positive("max_position_embeddings");
  c.rms_norm_eps = r.number("rms_norm_eps", 1e-6);
  c.tie_word_embeddings = r.boolean("tie_word_embeddings", false);
  c.initializer_range = r.number("initializer_range", 0.02);
  if (const std::string act = r.string("hidden_act", "silu"); act != "silu") r.wrong("hidden_act", "\"silu\"");
  c.bos_token_id = r.integer("bos_token_id", 0);
  if (j.contains("eos_token_id") && j["eos_token_id"].is_array()) {
    for (const json& id : j["eos_token_id"]) c.eos_token_ids.push_back(id.get<std::int64_t>());
  } else if (r.has("eos_token_id")) {
    c.eos_token_ids = {r.integer("eos_token_id", 1)};
  }
  if (c.is_mla()) {
    read_mla(r, c);
  } else {
    read_gqa(r, c);
  }
  read_rope(r, c);
  if (const std::string mode = r.string("mtp_hidden", "post_norm"); mode == "pre_norm") {
    c.mtp_hidden = MtpHidden::pre_norm;
  } else if (mode != "post_norm") {
    r.wrong("mtp_hidden", "post_norm or pre_norm");
  }
  if (r.object("quantization_config") != nullptr) r.wrong("quantization_config", "absent: quantised checkpoints must be converted to bf16 first");
  r.finish(kIgnored);
  return c;
}

std::string config_json(const Config& c, DType dtype) {
  constexpr std::string_view kTypes[] = {"deepseek_v3", "deepseek_v2", "qwen2", "llama"};
  constexpr std::string_view kArchitectures[] = {"DeepseekV3ForCausalLM", "DeepseekV2ForCausalLM", "Qwen2ForCausalLM", "LlamaForCausalLM"};
  const auto f = static_cast<int>(c.family);
  json j = {{"architectures", {kArchitectures[f]}}, {"model_type", kTypes[f]}, {"vocab_size", c.vocab_size}, {"hidden_size", c.hidden_size},
            {"num_hidden_layers", c.num_hidden_layers}, {"num_attention_heads", c.num_attention_heads}, {"num_key_value_heads", c.num_key_value_heads},
            {"intermediate_size", c.intermediate_size}, {"hidden_act", "silu"}, {"rms_norm_eps", c.rms_norm_eps},
            {"max_position_embeddings", c.max_position_embeddings}, {"tie_word_embeddings", c.tie_word_embeddings},
            {"initializer_range", c.initializer_range}, {"bos_token_id", c.bos_token_id}, {"rope_theta", c.rope_theta}, {"attention_dropout", 0.0}};
  if (c.eos_token_ids.size() == 1) {
    j["eos_token_id"] = c.eos_token_ids[0];
  } else {
    j["eos_token_id"] = c.eos_token_ids;
  }
  if (c.is_mla()) {
    j["q_lora_rank"] = c.q_lora_rank > 0 ? json(c.q_lora_rank) : json(nullptr);
    j.update({{"kv_lora_rank", c.kv_lora_rank}, {"qk_nope_head_dim", c.qk_nope_head_dim}, {"qk_rope_head_dim", c.qk_rope_head_dim}, {"v_head_dim", c.v_head_dim}, {"attention_bias", false}});
  } else {
    j["head_dim"] = c.head_dim;
    if (c.family == Family::qwen2) j["use_sliding_window"] = false;
  }
  if (c.n_routed_experts > 0) {
    constexpr std::string_view kMethods[] = {"greedy", "group_limited_greedy", "noaux_tc"};
    j.update({{"moe_intermediate_size", c.moe_intermediate_size}, {"n_routed_experts", c.n_routed_experts}, {"n_shared_experts", c.n_shared_experts},
              {"num_experts_per_tok", c.num_experts_per_tok}, {"n_group", c.n_group}, {"topk_group", c.topk_group},
              {"topk_method", kMethods[static_cast<int>(c.topk_method)]}, {"scoring_func", c.scoring_func == Scoring::sigmoid ? "sigmoid" : "softmax"},
              {"norm_topk_prob", c.norm_topk_prob}, {"routed_scaling_factor", c.routed_scaling_factor}, {"first_k_dense_replace", c.first_k_dense_replace}, {"moe_layer_freq", c.moe_layer_freq}});
  }
  if (c.family == Family::deepseek_v3) j["num_nextn_predict_layers"] = c.num_nextn_predict_layers;
  if (c.mtp_hidden == MtpHidden::pre_norm) j["mtp_hidden"] = "pre_norm";
  if (c.rope.type == RopeScaling::Type::yarn) {
    j["rope_scaling"] = {{"type", "yarn"}, {"factor", c.rope.factor}, {"original_max_position_embeddings", c.rope.original_max_position_embeddings},
                         {"beta_fast", c.rope.beta_fast}, {"beta_slow", c.rope.beta_slow}, {"mscale", c.rope.mscale}, {"mscale_all_dim", c.rope.mscale_all_dim}};
  } else if (c.rope.type == RopeScaling::Type::llama3) {
    j["rope_scaling"] = {{"rope_type", "llama3"}, {"factor", c.rope.factor}, {"original_max_position_embeddings", c.rope.original_max_position_embeddings},
                         {"low_freq_factor", c.rope.low_freq_factor}, {"high_freq_factor", c.rope.high_freq_factor}};
  } else {
    j["rope_scaling"] = nullptr;
  }
  j["torch_dtype"] = dtype == DType::bf16 ? "bfloat16" : "float32";
  return j.dump(2) + "\n";
}

}  // namespace hadal::model
