// config.json: what released files and transformers write is read; anything not understood is refused by name.
#include "model/config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "base/file.h"
#include "base/json.h"
#include "support/temp_folder.h"

namespace hadal::model {
namespace {

using test::error_of;
using test::TempFolder;

json fixture(const std::string& name) { return read_json(fs::path(HADAL_TEST_DATA) / "models" / name / "config.json"); }

Config read(const json& j) {
  const TempFolder folder;
  std::ofstream(folder / "config.json") << j.dump();
  return load_config(folder.path());
}

std::string refusal(const json& j) {
  return error_of([&] { read(j); });
}

TEST(Config, FixturesAreRead) {
  const Config v3 = read(fixture("v3_mtp"));
  EXPECT_EQ(v3.family, Family::deepseek_v3);
  EXPECT_EQ(v3.q_lora_rank, 40);
  EXPECT_EQ(v3.num_nextn_predict_layers, 2);
  EXPECT_EQ(v3.topk_method, TopkMethod::noaux_tc);
  EXPECT_EQ(v3.scoring_func, Scoring::sigmoid);
  EXPECT_EQ(v3.rope.type, RopeScaling::Type::yarn);
  EXPECT_EQ(v3.rope.factor, 40);
  EXPECT_EQ(v3.eos_token_ids, (std::vector<std::int64_t>{1}));
  const Config moonlight = read(fixture("moonlight"));
  EXPECT_EQ(moonlight.q_lora_rank, 0);
  EXPECT_EQ(moonlight.rms_norm_eps, 1e-5);
  EXPECT_EQ(moonlight.rope.type, RopeScaling::Type::none);
  const Config v2 = read(fixture("v2"));
  EXPECT_EQ(v2.topk_method, TopkMethod::group_limited_greedy);
  EXPECT_EQ(v2.routed_scaling_factor, 16);
  EXPECT_FALSE(v2.norm_topk_prob);
  const Config qwen2 = read(fixture("qwen2"));
  EXPECT_TRUE(qwen2.attention_bias);
  EXPECT_TRUE(qwen2.tie_word_embeddings);
  EXPECT_EQ(qwen2.head_dim, 16) << "hidden / heads, as the file does not say";
  const Config llama = read(fixture("llama"));
  EXPECT_EQ(llama.head_dim, 32);
  EXPECT_EQ(llama.rope.type, RopeScaling::Type::llama3);
}

TEST(Config, WrittenConfigsReadBackTheSame) {
  for (const char* name : {"v3", "v3_mtp", "moonlight", "v2_lite", "v2", "qwen2", "llama"}) {
    const Config c = read(fixture(name));
    EXPECT_EQ(read(parse_json(config_json(c, DType::bf16), name)), c) << name;
  }
  for (const char* name : {"tiny", "demo", "study", "bench-100m", "v2-lite", "moonlight", "v2", "v3"}) {
    EXPECT_EQ(read(parse_json(config_json(preset(name), DType::f32), name)), preset(name)) << name;
  }
  Config c = preset("tiny");
  c.mtp_hidden = MtpHidden::pre_norm;
  c.bos_token_id = -1;
  c.eos_token_ids = {1, 5, 7};
  EXPECT_EQ(read(parse_json(config_json(c, DType::f32), "c")), c);
  c.eos_token_ids.clear();
  EXPECT_EQ(read(parse_json(config_json(c, DType::f32), "c")), c);
}

TEST(Config, YarnWithoutMscaleIsWrittenWithout) {
  json j = fixture("v3");
  ASSERT_EQ(j["rope_scaling"]["type"], "yarn");
  j["rope_scaling"].erase("mscale");
  j["rope_scaling"].erase("mscale_all_dim");
  const Config c = read(j);
  const json written = parse_json(config_json(c, DType::f32), "c");
  EXPECT_FALSE(written["rope_scaling"].contains("mscale"));
  EXPECT_FALSE(written["rope_scaling"].contains("mscale_all_dim"));
  EXPECT_EQ(read(written), c);
}

TEST(Config, DenseMlaModelsStayDenseInTransformers) {
  json j = fixture("v3");
  j["n_routed_experts"] = nullptr;
  const Config c = read(j);
  EXPECT_FALSE(c.is_moe_layer(2));
  const json written = parse_json(config_json(c, DType::f32), "c");
  EXPECT_EQ(written["first_k_dense_replace"], c.num_hidden_layers);  // its layers are MoE from this one on
  EXPECT_EQ(written["n_routed_experts"], 0);
  EXPECT_FALSE(written.contains("topk_method"));
}

// As transformers 5.24 saves them: rope_parameters with theta inside, derived and empty fields beside the real ones.
TEST(Config, TransformersSpelling) {
  json v3 = fixture("v3");
  const Config expected = read(v3);
  v3["rope_parameters"] = v3["rope_scaling"];
  v3["rope_parameters"].erase("type");
  v3["rope_parameters"]["rope_type"] = "yarn";
  v3["rope_parameters"]["rope_theta"] = 10000.0;
  for (const char* key : {"rope_scaling", "rope_theta", "scoring_func", "topk_method", "moe_layer_freq", "torch_dtype"})
    v3.erase(key);
  v3.update({{"dtype", "float32"},
             {"head_dim", 8},
             {"qk_head_dim", 24},
             {"pad_token_id", nullptr},
             {"rope_interleave", true},
             {"output_router_logits", false},
             {"pretraining_tp", 1},
             {"transformers_version", "5.24.0"},
             {"use_cache", true}});
  EXPECT_EQ(read(v3), expected);

  json v2 = fixture("v2_lite");
  v2.update({{"mlp_bias", false}, {"n_group", nullptr}, {"topk_group", nullptr}});
  v2.erase("scoring_func");
  EXPECT_EQ(read(v2), read(fixture("v2_lite")));

  json qwen2 = fixture("qwen2");
  qwen2.erase("rope_theta");
  qwen2.update({{"layer_types", {"full_attention", "full_attention"}},
                {"sliding_window", nullptr},
                {"max_window_layers", 28},
                {"bos_token_id", nullptr},
                {"rope_parameters", {{"rope_theta", 1000000.0}, {"rope_type", "default"}}}});
  Config read_qwen2 = read(qwen2);
  EXPECT_EQ(read_qwen2.bos_token_id, -1);
  read_qwen2.bos_token_id = 0;
  EXPECT_EQ(read_qwen2, read(fixture("qwen2")));
}

TEST(Config, ReleasedExtrasAreAccepted) {
  json lite = fixture("v2_lite");
  lite.update({{"aux_loss_alpha", 0.001},
               {"seq_aux", true},
               {"ep_size", 1},
               {"auto_map", {{"AutoConfig", "x"}}},
               {"initializer_range", 0.02}});
  EXPECT_EQ(read(lite).rope.mscale, 0.707);
  json distill = fixture("qwen2");
  distill.update({{"use_mrope", false},
                  {"sliding_window", 4096},
                  {"max_window_layers", 21},
                  {"initializer_range", 0.02},
                  {"bos_token_id", 151643}});
  EXPECT_EQ(read(distill).bos_token_id, 151643);
  json floats = fixture("v3");
  floats.update({{"rope_theta", 10000.0}, {"vocab_size", 320.0}, {"routed_scaling_factor", 2}});
  EXPECT_EQ(read(floats).routed_scaling_factor, 2);
}

// V2 has transformers' defaults.
TEST(Config, DefaultsOfV2) {
  json j = fixture("v2_lite");
  for (const char* key : {"topk_method", "scoring_func", "norm_topk_prob", "routed_scaling_factor",
                          "first_k_dense_replace", "moe_layer_freq", "n_group", "topk_group"}) {
    j.erase(key);
  }
  const Config c = read(j);
  EXPECT_EQ(c.topk_method, TopkMethod::greedy);
  EXPECT_EQ(c.scoring_func, Scoring::softmax);
  EXPECT_FALSE(c.norm_topk_prob);
  EXPECT_EQ(c.routed_scaling_factor, 1);
  EXPECT_EQ(c.first_k_dense_replace, 0);
  EXPECT_EQ(c.n_group, 1);
}

struct Refused {
  const char* fixture;
  const char* edit;  // merged into the config; "DROP" takes the field out
  const char* says;
};

TEST(Config, WhatIsNotUnderstoodIsRefusedByName) {
  const Refused cases[] = {
      {"v3", R"({"topk_method": "greedy"})", "field 'topk_method' = \"greedy\": must be noaux_tc for deepseek_v3"},
      {"v3", R"({"scoring_func": "softmax"})", "field 'scoring_func' = \"softmax\": must be \"sigmoid\""},
      {"v2", R"({"scoring_func": "sigmoid"})", "field 'scoring_func' = \"sigmoid\": must be \"softmax\""},
      {"v2", R"({"topk_method": "noaux_tc"})",
       "field 'topk_method' = \"noaux_tc\": must be greedy or group_limited_greedy"},
      {"v3", R"({"hidden_act": "gelu"})", "field 'hidden_act' = \"gelu\": must be \"silu\""},
      {"v3", R"({"attention_bias": true})", "field 'attention_bias' = true: must be false"},
      {"llama", R"({"attention_bias": true})", "field 'attention_bias' = true: must be false"},
      {"qwen2", R"({"attention_bias": false})", "field 'attention_bias' = false: must be true"},
      {"llama", R"({"mlp_bias": true})", "field 'mlp_bias' = true: must be false"},
      {"v3", R"({"rope_interleave": false})", "field 'rope_interleave' = false: must be true"},
      {"qwen2", R"({"use_sliding_window": true})", "field 'use_sliding_window' = true"},
      {"qwen2", R"({"layer_types": ["full_attention", "sliding_attention"]})", "field 'layer_types'"},
      {"llama", R"({"sliding_window": 4096})", "field 'sliding_window' = 4096: must be off"},
      {"v3", R"({"index_topk": 2048})", "field 'index_topk' = 2048: must be off"},
      {"v3", R"({"model_type": "deepseek_v32"})",
       "field 'model_type' = \"deepseek_v32\": must be deepseek_v3, deepseek_v2, qwen2 or llama"},
      {"v3", R"({"model_type": "DROP"})", "field 'model_type' = missing"},
      {"v3", R"({"vocab_size": "DROP"})", "field 'vocab_size' is missing"},
      {"v3", R"({"q_lora_rank": "DROP"})", "field 'q_lora_rank' is missing (null means none)"},
      {"v3", R"({"n_group": "DROP"})", "field 'n_group' is missing"},
      {"v3", R"({"routed_scaling_factor": "DROP"})", "field 'routed_scaling_factor' is missing"},
      {"v3", R"({"vocab_size": "320"})", "field 'vocab_size' = \"320\": must be an integer"},
      {"v3", R"({"vocab_size": 320.5})", "field 'vocab_size' = 320.5: must be an integer"},
      {"v3", R"({"vocab_size": 0})", "field 'vocab_size' = 0: must be from 1 to"},
      {"v3", R"({"hidden_size": 1e30})", "field 'hidden_size' = 1e+30: must be from 1 to"},
      {"v3", R"({"rms_norm_eps": 0})", "field 'rms_norm_eps' = 0: must be above 0"},
      {"v3", R"({"rope_theta": "a"})", "field 'rope_theta' = \"a\": must be a number"},
      {"v3", R"({"tie_word_embeddings": 1})", "field 'tie_word_embeddings' = 1: must be true or false"},
      {"v3", R"({"eos_token_id": [1, "a"]})", "field 'eos_token_id' = [1,\"a\"]: must be an integer"},
      {"v3", R"({"num_experts_per_tok": 17})", "field 'num_experts_per_tok' = 17: must be from 1 to 16"},
      {"v3", R"({"num_experts_per_tok": 9})",
       "field 'num_experts_per_tok' = 9: must be at most the experts of topk_group groups"},
      {"v3", R"({"n_group": 3})", "field 'n_group' = 3: must be a divisor of n_routed_experts"},
      {"v3", R"({"n_group": 16})", "field 'n_group' = 16: must be so that a group has two experts"},
      {"v3", R"({"topk_group": 5})", "field 'topk_group' = 5: must be from 1 to 4"},
      {"v3", R"({"moe_layer_freq": 0})", "field 'moe_layer_freq' = 0"},
      {"v3", R"({"qk_rope_head_dim": 7})", "field 'qk_rope_head_dim' = 7: must be even"},
      {"v3", R"({"mtp_hidden": "middle"})", "field 'mtp_hidden' = \"middle\": must be post_norm or pre_norm"},
      {"v3", R"({"quantization_config": {"quant_method": "fp8"}})", "field 'quantization_config'"},
      {"v3", R"({"rope_scaling": {"type": "linear", "factor": 2}})",
       "rope_scaling: field 'type' = \"linear\": must be yarn, llama3 or default"},
      {"v3", R"({"rope_scaling": {"type": "yarn"}})", "rope_scaling: field 'factor' is missing"},
      {"v3", R"({"rope_scaling": {"type": "yarn", "factor": 4, "attention_factor": 2}})",
       "rope_scaling: unknown field 'attention_factor' = 2"},
      {"v3", R"({"rope_scaling": {"type": "yarn", "rope_type": "llama3", "factor": 4}})",
       "rope_scaling: field 'type' = \"yarn\": must be equal to rope_type"},
      {"v3", R"({"rope_parameters": {"rope_type": "default"}})", "field 'rope_scaling'"},
      {"moonlight", R"({"rope_parameters": {"rope_type": "default", "rope_theta": 1}})",
       "rope_parameters: field 'rope_theta' = 1: must be equal to the rope_theta beside it"},
      {"qwen2", R"({"rope_scaling": {"type": "yarn", "factor": 4}})",
       "rope_scaling: field 'type' = \"yarn\": must be llama3 or default"},
      {"llama",
       R"({"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4}})",
       "field 'high_freq_factor' = 4: must be above low_freq_factor"},
      {"llama", R"({"rope_parameters": {"partial_rotary_factor": 0.5}, "rope_scaling": null})",
       "field 'partial_rotary_factor' = 0.5"},
      {"llama", R"({"num_key_value_heads": 3})",
       "field 'num_key_value_heads' = 3: must be a divisor of num_attention_heads"},
      {"llama", R"({"head_dim": 15})", "field 'head_dim' = 15: must be even"},
      {"llama", R"({"head_dim": null, "num_attention_heads": 5})", "field 'head_dim' = null: must be there"},
      {"llama", R"({"num_nextn_predict_layers": 1})", "unknown field 'num_nextn_predict_layers' = 1"},
  };
  for (const Refused& r : cases) {
    json j = fixture(r.fixture);
    const json edit = json::parse(r.edit);
    for (const auto& [key, value] : edit.items()) {
      if (value == "DROP") {
        j.erase(key);
      } else {
        j[key] = value;
      }
    }
    const std::string error = refusal(j);
    EXPECT_NE(error.find(r.says), std::string::npos) << r.fixture << " " << r.edit << "\n  gave: " << error;
    EXPECT_NE(error.find("config.json"), std::string::npos) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
}

// Whatever stands in a field: it is read or refused with an Error, and what is read can be written and read again.
TEST(Config, AnyValueInAnyField) {
  const json values[] = {nullptr,
                         true,
                         "x",
                         "",
                         -1,
                         0,
                         1,
                         2,
                         3,
                         1e308,
                         -1e308,
                         0.5,
                         18446744073709551615u,
                         json::array(),
                         json::array({1}),
                         json::object(),
                         json::object({{"a", 1}})};
  int refused = 0, read_back = 0;
  for (const char* name : {"v3", "v2", "llama"}) {
    const json good = fixture(name);
    for (const auto& [key, old] : good.items()) {
      for (const json& v : values) {
        json j = good;
        j[key] = v;
        Config c;
        if (!error_of([&] { c = read(j); }).empty()) {
          ++refused;
          continue;
        }
        EXPECT_EQ(read(parse_json(config_json(c, DType::f32), name)), c) << name << " " << key << " " << v.dump();
        ++read_back;
      }
    }
  }
  EXPECT_GT(refused, 800);
  EXPECT_GT(read_back, 200);
}

TEST(Config, FilesThatAreNoConfig) {
  const TempFolder folder;
  EXPECT_NE(error_of([&] { load_config(folder.path()); }).find("config.json"), std::string::npos);
  for (const char* content : {"", "{", "[]", "1", "null"}) {
    write_file_atomically(folder / "config.json", content);
    EXPECT_NE(error_of([&] { load_config(folder.path()); }).find((folder / "config.json").string()), std::string::npos)
        << content;
  }
}

TEST(Config, SoftmaxScale) {
  EXPECT_NEAR(preset("v3").softmax_scale(), 0.1352337788608801, 1e-15);
  EXPECT_NEAR(preset("moonlight").softmax_scale(), 0.07216878364870322, 1e-16);
  EXPECT_NEAR(read(fixture("llama")).softmax_scale(), 1 / std::sqrt(32.0), 1e-16);
}

TEST(Config, UnknownPresetsListTheKnown) {
  EXPECT_EQ(error_of([] { preset("v4"); }),
            "unknown preset 'v4': there are tiny, demo, study, bench-100m, v2-lite, moonlight, v2, v3");
  EXPECT_TRUE(is_preset("bench-100m"));
  EXPECT_FALSE(is_preset("bench"));
}

}  // namespace
}  // namespace hadal::model
