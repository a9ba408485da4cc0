// Fields of config.json beyond those that are read: software's, features that are off, several that are missing; and
// fields that a recipe sets over a config.
#include <gtest/gtest.h>

#include <fstream>

#include "base/json.h"
#include "model/config.h"
#include "model/config_fields.h"
#include "support/temp_folder.h"

namespace hadal::model {
namespace {

using test::error_of;
using test::TempFolder;

json fixture(const std::string& name) {
  return read_json(std::filesystem::path(HADAL_TEST_DATA) / "models" / name / "config.json");
}

Config read(const json& j, const ConfigFields& fields = {}) {
  const TempFolder folder;
  std::ofstream(folder / "config.json") << j.dump();
  return load_config(folder.path(), fields);
}

std::string refusal(const json& j, const ConfigFields& fields = {}) {
  return error_of([&] { read(j, fields); });
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(ConfigFields, SoftwareAndGenerationDefaultsAreIgnored) {
  const json written = json::parse(R"({
    "unsloth_fixed": true, "unsloth_version": "2026.1", "_attn_implementation_autoset": true, "_attn_implementation": "eager",
    "_experts_implementation": "grouped_mm", "_name_or_path": "x", "_commit_hash": "0", "tokenizer_class": "T", "torchscript": false,
    "keys_to_ignore_at_inference": ["past_key_values"], "max_length": 20, "min_length": 1, "temperature": 0.6, "top_k": 50,
    "top_p": 0.9, "do_sample": true, "num_beams": 4, "repetition_penalty": 1.1, "id2label": {"0": "A"}, "num_labels": 2,
    "gradient_checkpointing": true, "use_bfloat16": true, "suppress_tokens": [1], "forced_eos_token_id": 2, "prefix": "x",
    "task_specific_params": {"a": 1}, "pad_token_id": 3, "dtype": "bfloat16", "base_model_tp_plan": {"a": "b"}, "hidden_dropout": 0.1
  })");
  for (const char* name : {"v3", "v2_lite", "qwen2", "llama"}) {
    json j = fixture(name);
    j.update(written);
    EXPECT_EQ(read(j), read(fixture(name))) << name;
  }
}

TEST(ConfigFields, FeaturesThatAreOffPassAndThoseThatAreOnDoNot) {
  const json off = json::parse(R"({
    "attn_logit_softcapping": null, "final_logit_softcapping": 0.0, "use_qk_norm": false, "alibi": false, "clip_qkv": null,
    "mlp_only_layers": [], "pruned_heads": {}, "logit_scale": 1.0, "residual_multiplier": 1, "partial_rotary_factor": 1.0,
    "add_cross_attention": false, "is_decoder": false, "sliding_window": null, "num_local_experts": 0
  })");
  json j = fixture("llama");
  j.update(off);
  EXPECT_EQ(read(j), read(fixture("llama")));
  const json on = json::parse(R"({
    "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "use_qk_norm": true, "alibi": true, "clip_qkv": 8,
    "mlp_only_layers": [1], "pruned_heads": {"0": [1]}, "logit_scale": 0.5, "residual_multiplier": 0, "partial_rotary_factor": 0.5,
    "sliding_window": 4096, "num_local_experts": 8, "use_alibi": "no"
  })");
  for (const auto& [key, value] : on.items()) {
    json changed = fixture("llama");
    changed[key] = value;
    EXPECT_TRUE(says(refusal(changed), "field '" + key + "' = " + value.dump() + ": must be off")) << refusal(changed);
  }
  json unknown = fixture("llama");
  unknown["sparse_topk"] = false;  // nobody knows what false means
  EXPECT_TRUE(says(refusal(unknown), "unknown field 'sparse_topk' = false"));
}

TEST(ConfigFields, AllMissingFieldsInOneLine) {
  json j = fixture("v3");
  for (const char* key : {"hidden_size", "q_lora_rank", "n_group", "num_experts_per_tok"}) j.erase(key);
  const std::string error = refusal(j);
  EXPECT_TRUE(says(
      error, "fields 'hidden_size', 'num_experts_per_tok', 'n_group', 'q_lora_rank' (null means none) are missing"))
      << error;
  j = fixture("llama");
  for (const char* key : {"vocab_size", "intermediate_size"}) j.erase(key);
  EXPECT_TRUE(says(refusal(j), "fields 'vocab_size', 'intermediate_size' are missing"));
}

TEST(ConfigFields, NumbersThatF32DoesNotHoldAndSizesThatOverflow) {
  for (const char* edit :
       {R"({"rms_norm_eps": 1e-46})", R"({"routed_scaling_factor": 1e39})", R"({"initializer_range": 1e-40})"}) {
    json j = fixture("v3");
    j.update(json::parse(edit));
    EXPECT_TRUE(says(refusal(j), "must be a number that f32 holds")) << edit << ": " << refusal(j);
  }
  json wide = fixture("v3");
  wide.update({{"rope_scaling", {{"type", "yarn"}, {"factor", 40}, {"mscale_all_dim", 1e30}}}});
  EXPECT_TRUE(says(refusal(wide), "scale of attention"));
  json large = fixture("v3");
  large.update({{"num_hidden_layers", 1024},
                {"n_routed_experts", 4096},
                {"moe_intermediate_size", 1 << 20},
                {"hidden_size", 1 << 20}});
  EXPECT_TRUE(says(refusal(large), "parameters: there may be 1e15")) << refusal(large);
}

TEST(ConfigFields, DefaultRopeIgnoresWhatOtherKindsNeed) {
  json j = fixture("moonlight");
  j["rope_scaling"] = {{"rope_type", "default"}, {"factor", 8.0}, {"original_max_position_embeddings", 4096}};
  EXPECT_EQ(read(j), read(fixture("moonlight")));
}

TEST(ConfigFields, ARecipeSetsFieldsOverAPresetOrAFile) {
  Config c = preset(
      "tiny",
      {{"hidden_size", "128"}, {"num_hidden_layers", "2.0"}, {"q_lora_rank", "null"}, {"mtp_hidden", "\"pre_norm\""}});
  Config expected = preset("tiny");
  expected.hidden_size = 128;
  expected.num_hidden_layers = 2;
  expected.q_lora_rank = 0;
  expected.mtp_hidden = MtpHidden::pre_norm;
  EXPECT_EQ(c, expected);
  // What a file derives is derived again.
  json llama = fixture("llama");
  llama.erase("head_dim");
  EXPECT_EQ(read(llama, {{"hidden_size", "256"}}).head_dim, 256 / read(llama).num_attention_heads);
  EXPECT_EQ(preset("v3", {{"rope_scaling", "null"}}).rope, RopeScaling());
  EXPECT_EQ(preset("v3", {{"rope_scaling.factor", "8"}}).rope.factor, 8);
  EXPECT_EQ(preset("v3", {{"rope_scaling.type", "\"default\""}}).rope, RopeScaling());
  // Both spellings of RoPE, whichever the file has.
  json newer = fixture("moonlight");
  newer["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 10000.0}};
  newer.erase("rope_theta");
  newer.erase("rope_scaling");
  EXPECT_EQ(read(newer, {{"rope_theta", "5e5"}}).rope_theta, 5e5);
  EXPECT_EQ(read(newer, {{"rope_parameters.rope_theta", "5e5"}}).rope_theta, 5e5);
}

TEST(ConfigFields, AWrongFieldOfARecipeIsNamedAsItsKey) {
  const auto error = [](const ConfigFields& fields) { return error_of([&] { preset("tiny", fields); }); };
  EXPECT_EQ(error({{"hidden_size", "0"}}), "model.hidden_size over preset tiny = 0: must be from 1 to 1048576");
  EXPECT_TRUE(says(error({{"num_experts_per_tok", "99"}}), "model.num_experts_per_tok over preset tiny = 99"));
  EXPECT_TRUE(
      says(error({{"rope_scaling.factor", "0"}, {"rope_scaling.type", "\"yarn\""}}), "model.rope_scaling.factor"));
  EXPECT_TRUE(says(error({{"hidden_size", "\"big\""}}), "must be an integer"));
  EXPECT_TRUE(says(refusal(fixture("llama"), {{"q_lora_rank", "8"}}), "this model_type has no such field"));
}

// What `hadal inspect --config` prints can be set key by key.
TEST(ConfigFields, EveryFieldOfATemplateMayBeSet) {
  for (const char* name : {"v3", "v2_lite", "qwen2", "llama"}) {
    const json j = parse_json(config_json(read(fixture(name)), DType::f32), name);
    for (const auto& [key, value] : j.items()) {
      const auto& fields = recipe_fields();
      const bool known = std::find(fields.begin(), fields.end(), key) != fields.end();
      const bool own_key = key == "vocab_size";
      EXPECT_TRUE(known || own_key || is_software_field(key) || is_off(key, value)) << name << " " << key;
    }
  }
}

}  // namespace
}  // namespace hadal::model
