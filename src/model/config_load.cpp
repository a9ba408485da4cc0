// config.json, strictly: a field that is not understood is an error, so that no architecture is silently substituted.
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/model_folder.h"
#include "model/config.h"

namespace hadal::model {

namespace {

// Fields that change nothing of what is computed at inference or in our training, whatever they say.
const std::set<std::string> kIgnored = {"architectures",
                                        "auto_map",
                                        "torch_dtype",
                                        "dtype",
                                        "transformers_version",
                                        "_name_or_path",
                                        "use_cache",
                                        "pretraining_tp",
                                        "attention_dropout",
                                        "pad_token_id",
                                        "unk_token_id",
                                        "sep_token_id",
                                        "decoder_start_token_id",
                                        "return_dict",
                                        "output_hidden_states",
                                        "output_attentions",
                                        "output_router_logits",
                                        "id2label",
                                        "label2id",
                                        "problem_type",
                                        "chunk_size_feed_forward"};
// The same for MLA models: leftovers of training, and what transformers derives from other fields.
const std::set<std::string> kIgnoredMla = {"aux_loss_alpha",      "seq_aux",  "ep_size",    "router_aux_loss_coef",
                                           "num_key_value_heads", "head_dim", "qk_head_dim"};
// Of a dense MLA model.
const std::set<std::string> kIgnoredDense = {"moe_intermediate_size",
                                             "n_shared_experts",
                                             "num_experts_per_tok",
                                             "n_group",
                                             "topk_group",
                                             "topk_method",
                                             "scoring_func",
                                             "norm_topk_prob",
                                             "routed_scaling_factor",
                                             "first_k_dense_replace",
                                             "moe_layer_freq"};
// Both belong to use_sliding_window, which must be false.
const std::set<std::string> kIgnoredGqa = {"sliding_window", "max_window_layers"};

constexpr std::int64_t kLayers = 1024, kExperts = 4096, kHead = 1 << 16, kWidth = 1 << 20,
                       kCount = 1 << 24;  // so that no product overflows

class Reader {
 public:
  Reader(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) fail("{}: must be a JSON object", where_);
  }
  bool has(const std::string& key) const { return object_.contains(key) && !object_[key].is_null(); }

  // A whole number from low to high, written as an integer or as a float.
  std::int64_t integer(const std::string& key, std::int64_t low, std::int64_t high) {
    require(key);
    return integer_of(key, object_[key], low, high);
  }
  std::int64_t integer_or(const std::string& key, std::int64_t missing, std::int64_t low, std::int64_t high) {
    return take(key) ? integer_of(key, object_[key], low, high) : missing;
  }
  double positive(const std::string& key) {
    require(key);
    return positive_or(key, 0);
  }
  double positive_or(const std::string& key, double missing) {
    const double v = number_or(key, missing);
    if (has(key) && v <= 0) wrong(key, "above 0");
    return v;
  }
  double number_or(const std::string& key, double missing) {
    if (!take(key)) return missing;
    if (!object_[key].is_number()) wrong(key, "a number");
    return object_[key].get<double>();
  }
  bool boolean_or(const std::string& key, bool missing) {
    if (!take(key)) return missing;
    if (!object_[key].is_boolean()) wrong(key, "true or false");
    return object_[key].get<bool>();
  }
  std::string string_or(const std::string& key, const std::string& missing) {
    if (!take(key)) return missing;
    if (!object_[key].is_string()) wrong(key, "a string");
    return object_[key].get<std::string>();
  }
  const json* object(const std::string& key) {
    if (!take(key)) return nullptr;
    if (!object_[key].is_object()) wrong(key, "an object");
    return &object_[key];
  }
  // One integer or a list of them.
  std::vector<std::int64_t> integers(const std::string& key) {
    if (!take(key)) return {};
    if (!object_[key].is_array()) return {integer_of(key, object_[key], 0, kCount)};
    std::vector<std::int64_t> all;
    for (const json& v : object_[key]) all.push_back(integer_of(key, v, 0, kCount));
    return all;
  }
  void must_be(const std::string& key, const json& value) {
    if (take(key) && object_[key] != value) wrong(key, value.dump() + " for this model_type");
  }
  // The key must be in the file, be it as null.
  void require_stated(const std::string& key, std::string_view meaning) const {
    if (!object_.contains(key)) fail("{}: field '{}' is missing ({})", where_, key, meaning);
  }
  [[noreturn]] void wrong(const std::string& key, std::string_view rule) const {
    fail("{}: field '{}' = {}: must be {}", where_, key, object_.contains(key) ? object_[key].dump() : "missing", rule);
  }
  void ignore(const std::set<std::string>& keys) { used_.insert(keys.begin(), keys.end()); }
  void finish() const {
    for (const auto& [key, value] : object_.items()) {
      if (!used_.contains(key) && !value.is_null()) {
        fail("{}: unknown field '{}' = {}: hadal does not know what it would change", where_, key, value.dump());
      }
    }
  }
  const std::string& where() const { return where_; }

 private:
  bool take(const std::string& key) {
    used_.insert(key);
    return has(key);
  }
  void require(const std::string& key) {
    if (!take(key)) fail("{}: field '{}' is missing", where_, key);
  }
  std::int64_t integer_of(const std::string& key, const json& v, std::int64_t low, std::int64_t high) const {
    const double d = v.is_number() ? v.get<double>() : std::nan("");
    if (!(d == std::floor(d))) wrong(key, "an integer");
    if (d < static_cast<double>(low) || d > static_cast<double>(high))
      wrong(key, fmt::format("from {} to {}", low, high));
    return static_cast<std::int64_t>(d);
  }
  const json& object_;
  std::string where_;
  std::set<std::string> used_;
};

Family family_of(Reader& r) {
  const std::string type = r.string_or("model_type", "");
  if (type == "deepseek_v3") return Family::deepseek_v3;
  if (type == "deepseek_v2") return Family::deepseek_v2;
  if (type == "qwen2") return Family::qwen2;
  if (type == "llama") return Family::llama;
  r.wrong("model_type", "deepseek_v3, deepseek_v2, qwen2 or llama");
}

RopeScaling read_scaling(Reader& r, const Config& c) {
  RopeScaling s;
  const std::string old = r.string_or("type", "default"), type = r.string_or("rope_type", old);
  const std::string field = r.has("rope_type") ? "rope_type" : "type";
  if (r.has("rope_type") && r.has("type") && type != old) r.wrong("type", "equal to rope_type");
  r.must_be("partial_rotary_factor", 1.0);
  if (type == "default") return s;
  if (type != "yarn" && type != "llama3") r.wrong(field, "yarn, llama3 or default");
  s.factor = r.positive("factor");
  s.original_max_position_embeddings =
      r.integer_or("original_max_position_embeddings", c.max_position_embeddings, 1, kCount);
  if (type == "yarn") {
    if (!c.is_mla()) r.wrong(field, "llama3 or default for this model_type");
    s.type = RopeScaling::Type::yarn;
    s.beta_fast = r.positive_or("beta_fast", 32);
    s.beta_slow = r.positive_or("beta_slow", 1);
    s.mscale = r.number_or("mscale", 1);
    s.mscale_all_dim = r.number_or("mscale_all_dim", 0);
    r.must_be("truncate", true);
  } else {
    s.type = RopeScaling::Type::llama3;
    s.low_freq_factor = r.positive("low_freq_factor");
    s.high_freq_factor = r.positive("high_freq_factor");
    if (s.high_freq_factor <= s.low_freq_factor) r.wrong("high_freq_factor", "above low_freq_factor");
  }
  return s;
}

void read_rope(Reader& r, Config& c) {
  c.rope_theta = r.positive_or("rope_theta", 10000);
  const json* old = r.object("rope_scaling");
  const json* parameters = r.object("rope_parameters");  // the newer spelling holds theta, too
  if (old != nullptr && parameters != nullptr) r.wrong("rope_scaling", "absent where rope_parameters is there");
  const json* object = parameters != nullptr ? parameters : old;
  if (object == nullptr) return;
  Reader inner(*object, r.where() + (parameters != nullptr ? ": rope_parameters" : ": rope_scaling"));
  const double theta = inner.positive_or("rope_theta", c.rope_theta);
  if (r.has("rope_theta") && theta != c.rope_theta) inner.wrong("rope_theta", "equal to the rope_theta beside it");
  c.rope_theta = theta;
  c.rope = read_scaling(inner, c);
  inner.finish();
}

TopkMethod read_method(Reader& r, bool v3) {
  const std::string method = r.string_or("topk_method", v3 ? "noaux_tc" : "greedy");
  if (v3 && method == "noaux_tc") return TopkMethod::noaux_tc;
  if (!v3 && method == "greedy") return TopkMethod::greedy;
  if (!v3 && method == "group_limited_greedy") return TopkMethod::group_limited_greedy;
  r.wrong("topk_method", v3 ? "noaux_tc for deepseek_v3" : "greedy or group_limited_greedy for deepseek_v2");
}

void read_groups(Reader& r, Config& c) {
  const std::int64_t most = c.n_routed_experts;
  const bool grouped = c.topk_method != TopkMethod::greedy;
  c.n_group = grouped ? r.integer("n_group", 1, most) : r.integer_or("n_group", 1, 1, most);
  c.topk_group = grouped ? r.integer("topk_group", 1, c.n_group) : r.integer_or("topk_group", 1, 1, c.n_group);
  const std::int64_t size = most / c.n_group;
  if (most % c.n_group != 0) r.wrong("n_group", "a divisor of n_routed_experts");
  if (c.topk_method == TopkMethod::noaux_tc && c.n_group > 1 && size < 2)
    r.wrong("n_group", "so that a group has two experts");
  if (grouped && c.num_experts_per_tok > c.topk_group * size) {
    r.wrong("num_experts_per_tok", "at most the experts of topk_group groups");
  }
}

// Where V3's file lacks a switch that V3 and its relatives set differently, that is an error; V2 has transformers'
// defaults.
void read_gate(Reader& r, Config& c) {
  const bool v3 = c.family == Family::deepseek_v3;
  c.topk_method = read_method(r, v3);
  r.must_be("scoring_func", v3 ? "sigmoid" : "softmax");
  c.scoring_func = v3 ? Scoring::sigmoid : Scoring::softmax;
  c.moe_intermediate_size = r.integer("moe_intermediate_size", 1, kWidth);
  c.num_experts_per_tok = r.integer("num_experts_per_tok", 1, c.n_routed_experts);
  r.require_stated("n_shared_experts", "0 or null means none");
  c.n_shared_experts = r.integer_or("n_shared_experts", 0, 0, kExperts);
  read_groups(r, c);
  c.norm_topk_prob = r.boolean_or("norm_topk_prob", v3);
  c.routed_scaling_factor = v3 ? r.positive("routed_scaling_factor") : r.positive_or("routed_scaling_factor", 1);
  c.first_k_dense_replace =
      v3 ? r.integer("first_k_dense_replace", 0, kLayers) : r.integer_or("first_k_dense_replace", 0, 0, kLayers);
  c.moe_layer_freq = r.integer_or("moe_layer_freq", 1, 1, kLayers);
}

void read_mla(Reader& r, Config& c) {
  r.ignore(kIgnoredMla);
  r.require_stated("q_lora_rank", "null means none");
  c.q_lora_rank = r.integer_or("q_lora_rank", 0, 0, kWidth);
  c.kv_lora_rank = r.integer("kv_lora_rank", 1, kWidth);
  c.qk_nope_head_dim = r.integer("qk_nope_head_dim", 1, kHead);
  c.qk_rope_head_dim = r.integer("qk_rope_head_dim", 2, kHead);
  c.v_head_dim = r.integer("v_head_dim", 1, kHead);
  if (c.qk_rope_head_dim % 2 != 0) r.wrong("qk_rope_head_dim", "even");
  c.num_key_value_heads = c.num_attention_heads;
  r.must_be("attention_bias", false);
  r.must_be("mlp_bias", false);
  r.must_be("rope_interleave", true);
  r.require_stated("n_routed_experts", "0 or null means a dense model");
  c.n_routed_experts = r.integer_or("n_routed_experts", 0, 0, kExperts);
  if (c.n_routed_experts > 0) {
    read_gate(r, c);
  } else {
    r.ignore(kIgnoredDense);
  }
  c.num_nextn_predict_layers = r.integer_or("num_nextn_predict_layers", 0, 0, kLayers);
  const std::string hidden = r.string_or("mtp_hidden", "post_norm");
  if (hidden != "post_norm" && hidden != "pre_norm") r.wrong("mtp_hidden", "post_norm or pre_norm");
  c.mtp_hidden = hidden == "post_norm" ? MtpHidden::post_norm : MtpHidden::pre_norm;
}

void read_gqa(Reader& r, Config& c) {
  c.num_key_value_heads = r.integer_or("num_key_value_heads", c.num_attention_heads, 1, c.num_attention_heads);
  if (c.num_attention_heads % c.num_key_value_heads != 0)
    r.wrong("num_key_value_heads", "a divisor of num_attention_heads");
  if (!r.has("head_dim") && c.hidden_size % c.num_attention_heads != 0) {
    r.wrong("head_dim", "there, as num_attention_heads does not divide hidden_size");
  }
  c.head_dim = r.integer_or("head_dim", c.hidden_size / c.num_attention_heads, 2, kWidth);
  if (c.head_dim % 2 != 0 || c.head_dim > kHead) r.wrong("head_dim", fmt::format("even and at most {}", kHead));
  c.attention_bias = c.family == Family::qwen2;
  r.must_be("attention_bias", c.attention_bias);
  r.must_be("mlp_bias", false);
  r.must_be("use_mrope", false);
  r.must_be("use_sliding_window", false);
  r.must_be("layer_types", std::vector<std::string>(static_cast<std::size_t>(c.num_hidden_layers), "full_attention"));
  if (c.family == Family::qwen2) r.ignore(kIgnoredGqa);
}

}  // namespace

Config load_config(const std::filesystem::path& dir_or_json) {
  const fs::path given = model_folder(dir_or_json), path = fs::is_directory(given) ? given / "config.json" : given;
  const json j = read_json(path);
  Reader r(j, path.string());
  Config c;
  c.family = family_of(r);
  c.vocab_size = r.integer("vocab_size", 1, kCount);
  c.hidden_size = r.integer("hidden_size", 1, kWidth);
  c.num_hidden_layers = r.integer("num_hidden_layers", 1, kLayers);
  c.num_attention_heads = r.integer("num_attention_heads", 1, kLayers);
  c.intermediate_size = r.integer("intermediate_size", 1, kWidth);
  c.max_position_embeddings = r.integer("max_position_embeddings", 1, kCount);
  c.rms_norm_eps = r.positive_or("rms_norm_eps", 1e-6);
  c.tie_word_embeddings = r.boolean_or("tie_word_embeddings", false);
  c.initializer_range = r.positive_or("initializer_range", 0.02);
  r.must_be("hidden_act", "silu");
  r.must_be("is_encoder_decoder", false);
  c.bos_token_id = r.integer_or("bos_token_id", -1, 0, kCount);
  c.eos_token_ids = r.integers("eos_token_id");
  r.ignore(kIgnored);
  if (c.is_mla()) {
    read_mla(r, c);
  } else {
    read_gqa(r, c);
  }
  read_rope(r, c);
  if (r.object("quantization_config") != nullptr) {
    r.wrong("quantization_config", "absent: quantised checkpoints must be converted to bf16 first");
  }
  r.finish();
  return c;
}

}  // namespace hadal::model
