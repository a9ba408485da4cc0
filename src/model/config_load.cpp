// config.json, strictly: a field that is not understood is an error, so that no architecture is silently substituted.
#include <limits>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/model_folder.h"
#include "model/config.h"
#include "model/config_reader.h"

namespace hadal::model {

namespace {

// Of MLA models, without influence: leftovers of training, and what transformers derives from other fields.
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

using Reader = ConfigReader;

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
  if (type == "default") {  // whatever stands beside it
    r.ignore({"factor", "original_max_position_embeddings", "beta_fast", "beta_slow", "mscale", "mscale_all_dim",
              "low_freq_factor", "high_freq_factor", "attention_factor", "truncate"});
    return s;
  }
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
  const std::string name = parameters != nullptr ? "rope_parameters" : "rope_scaling";
  Reader inner(*object, r.where() + ": " + name, r.set(), name + ".");
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

void read_gate(Reader& r, Config& c) {
  const bool v3 = c.family == Family::deepseek_v3;
  c.topk_method = read_method(r, v3);
  r.must_be("scoring_func", v3 ? "sigmoid" : "softmax");
  c.scoring_func = v3 ? Scoring::sigmoid : Scoring::softmax;
  c.moe_intermediate_size = r.integer("moe_intermediate_size", 1, kWidth);
  c.num_experts_per_tok = r.integer("num_experts_per_tok", 1, c.n_routed_experts);
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

// Every field that must be there and is not, in one line. Where V3's file lacks a switch that V3 and its relatives set
// differently, that is an error; V2 has transformers' defaults. q_lora_rank, n_routed_experts and n_shared_experts may
// be null, but must be stated.
void check_missing(const Reader& r, Family family) {
  std::vector<std::string> needed = {"vocab_size",          "hidden_size",       "num_hidden_layers",
                                     "num_attention_heads", "intermediate_size", "max_position_embeddings"};
  std::vector<std::string> stated;
  if (family == Family::deepseek_v3 || family == Family::deepseek_v2) {
    needed.insert(needed.end(), {"kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"});
    stated = {"q_lora_rank", "n_routed_experts"};
    if (r.has("n_routed_experts") && !r.is("n_routed_experts", 0)) {
      stated.push_back("n_shared_experts");
      needed.insert(needed.end(), {"moe_intermediate_size", "num_experts_per_tok"});
      if (family == Family::deepseek_v3)
        needed.insert(needed.end(), {"n_group", "topk_group", "routed_scaling_factor", "first_k_dense_replace"});
      if (r.is("topk_method", "group_limited_greedy")) needed.insert(needed.end(), {"n_group", "topk_group"});
    }
  }
  std::vector<std::pair<std::string, std::string>> missing;  // and what null would mean
  for (const std::string& key : needed) {
    if (!r.has(key)) missing.emplace_back(key, "");
  }
  for (const std::string& key : stated) {
    if (!r.stated(key)) missing.emplace_back(key, " (null means none)");
  }
  if (missing.empty()) return;
  if (missing.size() == 1) fail("{}: field '{}' is missing{}", r.where(), missing[0].first, missing[0].second);
  std::string list;
  for (const auto& [key, meaning] : missing) list += fmt::format("{}'{}'{}", list.empty() ? "" : ", ", key, meaning);
  fail("{}: fields {} are missing", r.where(), list);
}

// No count of parameters or bytes may overflow, whatever the sizes are each for itself.
void check_size(const Reader& r, const Config& c) {
  const auto d = [](std::int64_t n) { return static_cast<double>(n); };
  const double experts = d(c.n_routed_experts + c.n_shared_experts) * 3 * d(c.moe_intermediate_size);
  const double heads =
      d(c.num_attention_heads) * d(2 * (c.qk_nope_head_dim + c.qk_rope_head_dim + c.v_head_dim) + 4 * c.head_dim);
  const double layer =
      d(c.hidden_size) * (experts + 3 * d(c.intermediate_size) + heads) + heads * d(c.q_lora_rank + c.kv_lora_rank);
  const double all =
      d(c.num_hidden_layers + c.num_nextn_predict_layers) * layer + 2 * d(c.vocab_size) * d(c.hidden_size);
  if (all > 1e15) fail("{}: its sizes make about {:.0e} parameters: there may be 1e15", r.where(), all);
  const double scale = c.softmax_scale();
  if (!(scale <= std::numeric_limits<float>::max()))
    fail("{}: rope_scaling makes the scale of attention {}: more than f32 holds", r.where(), scale);
}

Config read_config(const json& j, const std::string& where, const std::set<std::string>& set) {
  Reader r(j, where, set);
  Config c;
  c.family = family_of(r);
  check_missing(r, c.family);
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
  c.bos_token_id = r.integer_or("bos_token_id", -1, 0, kCount);
  c.eos_token_ids = r.integers("eos_token_id");
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
  check_size(r, c);
  return c;
}

// rope_parameters as rope_scaling and rope_theta: one spelling to set fields in.
void spell_rope_old(json& j) {
  if (!j.contains("rope_parameters") || !j["rope_parameters"].is_object() || j.contains("rope_scaling")) return;
  json parameters = j["rope_parameters"];
  j.erase("rope_parameters");
  if (parameters.contains("rope_theta")) j["rope_theta"] = parameters["rope_theta"];
  parameters.erase("rope_theta");
  j["rope_scaling"] = parameters;
}

// The fields of a recipe, over those of a file.
std::set<std::string> set_fields(json& j, const ConfigFields& fields, const std::string& where) {
  std::set<std::string> set;
  if (fields.empty()) return set;
  if (!j.is_object()) fail("{}: must be a JSON object", where);
  spell_rope_old(j);
  for (const auto& [name, text] : fields) {
    std::string path = name == "rope_parameters.rope_theta" ? "rope_theta" : name;
    if (path.starts_with("rope_parameters")) path.replace(0, 15, "rope_scaling");
    const json value = parse_json(text, "model." + name);
    const auto dot = path.find('.');
    set.insert(path);
    set.insert(path.substr(0, dot));
    if (dot == std::string::npos) {
      j[path] = value;
    } else {
      json& inner = j[path.substr(0, dot)];
      if (!inner.is_object()) inner = json::object();
      const std::string key = path.substr(dot + 1);
      if (key == "type" || key == "rope_type") inner.erase(key == "type" ? "rope_type" : "type");
      inner[key] = value;
    }
  }
  return set;
}

}  // namespace

Config load_config(const std::filesystem::path& dir_or_json, const ConfigFields& fields) {
  const fs::path given = model_folder(dir_or_json), path = fs::is_directory(given) ? given / "config.json" : given;
  json j = read_json(path);
  const std::set<std::string> set = set_fields(j, fields, path.string());
  return read_config(j, path.string(), set);
}

Config preset(std::string_view name, const ConfigFields& fields) {
  const Config own = preset(name);
  if (fields.empty()) return own;
  const std::string where = fmt::format("preset {}", name);
  json j = parse_json(config_json(own, DType::f32), where);
  const std::set<std::string> set = set_fields(j, fields, where);
  return read_config(j, where, set);
}

}  // namespace hadal::model
