// Presets hold what the papers and the released files say (SPEC §1.4, §4.5): parameters, activated parameters, cache,
// FLOPs.
#include "model/accounting.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "model/names.h"

namespace hadal::model {
namespace {

using Components = std::vector<std::pair<std::string, std::int64_t>>;

Accounting of(const char* name, std::int64_t sequence = 4096) { return account(preset(name), sequence); }

TEST(Accounting, ComponentsOfV3) {
  const Accounting a = of("v3");
  const Components want = {{"attention", 11'413'547'008},        {"dense FFN", 1'189'085'184},
                           {"routed experts", 653'908'770'816},  {"shared experts", 2'554'331'136},
                           {"router and bias", 106'445'312},     {"norms", 881'664},
                           {"embedding and head", 1'853'358'080}};
  EXPECT_EQ(a.components, want);
  EXPECT_EQ(a.parameters, 671'026'419'200);
  EXPECT_EQ(a.mtp_parameters, 11'610'068'224);
  EXPECT_EQ(a.mtp_copies, 1'853'358'080);
  EXPECT_EQ(a.parameters + a.mtp_parameters + a.mtp_copies, 684'489'845'504);
}

TEST(Accounting, TotalsAndActivated) {
  struct Want {
    const char* name;
    std::int64_t parameters, head_only, both, neither;
  };
  const Want all[] = {
      {"v3", 671'026'419'200, 36'625'618'432, 37'552'297'472, 35'698'939'392},
      {"v2", 235'741'434'880, 20'851'512'320, 21'375'800'320, 20'327'224'320},
      {"v2-lite", 15'706'484'224, 2'451'435'008, 2'661'150'208, 2'241'719'808},
      {"moonlight", 15'960'110'208, 2'579'231'872, 2'914'776'192, 2'243'687'552},
      {"study", 2'154'160, 1'007'280, 1'269'424, 745'136},
      {"bench-100m", 111'015'648, 29'751'008, 33'945'312, 25'556'704},
      {"demo", 9'046'944, 3'017'632, 3'541'920, 2'493'344},
      {"tiny", 256'144, 149'648, 182'416, 116'880},
  };
  for (const Want& w : all) {
    SCOPED_TRACE(w.name);
    const Accounting a = of(w.name);
    EXPECT_EQ(a.parameters, w.parameters);
    EXPECT_EQ(a.active_head_only, w.head_only);
    EXPECT_EQ(a.active_with_both, w.both);
    EXPECT_EQ(a.active_neither, w.neither);
    std::int64_t sum = 0;
    for (const auto& [name, n] : a.components) sum += n;
    EXPECT_EQ(sum, a.parameters);
  }
}

// Elements; the table of SPEC §1.4 has bytes at 16 bits.
TEST(Accounting, CacheOfAToken) {
  EXPECT_EQ(2 * of("v3").kv_elements, 70'272);
  EXPECT_EQ(2 * of("v3").kv_as_mha, 4'997'120);
  EXPECT_EQ(2 * of("v3").kv_as_gqa8, 249'856);
  EXPECT_EQ(2 * of("v2").kv_elements, 69'120);
  EXPECT_EQ(2 * of("v2-lite").kv_elements, 31'104);
  EXPECT_EQ(2 * of("moonlight").kv_elements, 31'104);
  EXPECT_EQ(2 * kDeepSeek67bKvElements, 389'120);
}

// From the widths of V3's matrices, one by one.
TEST(Accounting, FlopsOfV3) {
  const std::int64_t attention = 187'107'328 - 2'048, dense = 396'361'728, expert = 44'040'192, router = 1'835'008,
                     head = 926'679'040, eh_proj = 2 * 7168 * 7168;
  const std::int64_t moe = 9 * expert + router, trunk = 61 * attention + 3 * dense + 58 * moe,
                     module = attention + moe + eh_proj;
  EXPECT_EQ(of("v3").decode_flops_per_token, 2.0 * static_cast<double>(trunk + head));
  for (const std::int64_t t : {1, 4096, 32768}) {
    const double scores = 3.0 * 62 * 128 * (192 + 128) * static_cast<double>(t);
    EXPECT_EQ(of("v3", t).train_flops_per_token, 6.0 * static_cast<double>(trunk + module + 2 * head) + scores);
  }
}

// Of the headers of the released files: 91,991 tensors, 688,574,839,360 bytes (SPEC §4.1).
TEST(Accounting, ReleasedFilesOfV3) {
  const std::vector<io::TensorSpec> specs = fp8_checkpoint(preset("v3"));
  EXPECT_EQ(specs.size(), 91'991U);
  std::size_t bytes = 0;
  std::map<std::string, io::TensorSpec> by_name;
  for (const io::TensorSpec& t : specs) {
    bytes += t.bytes();
    by_name.emplace(t.name, t);
  }
  EXPECT_EQ(bytes, 688'574'839'360U);
  const auto expect = [&](const std::string& name, DType dtype, const Shape& shape) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(by_name.contains(name));
    EXPECT_EQ(by_name.at(name).dtype, dtype);
    EXPECT_EQ(by_name.at(name).shape, shape);
  };
  expect("model.layers.0.self_attn.kv_a_proj_with_mqa.weight", DType::f8_e4m3, {576, 7168});
  expect("model.layers.0.self_attn.kv_a_proj_with_mqa.weight_scale_inv", DType::f32, {5, 56});
  expect("model.layers.3.mlp.gate.weight", DType::bf16, {256, 7168});
  expect("model.layers.60.mlp.gate.e_score_correction_bias", DType::f32, {256});
  expect("model.layers.60.mlp.experts.255.down_proj.weight", DType::f8_e4m3, {7168, 2048});
  expect("model.layers.61.eh_proj.weight", DType::bf16, {7168, 14336});
  expect("model.layers.61.embed_tokens.weight", DType::bf16, {129280, 7168});
}

TEST(Accounting, ShapeOfBench100m) {
  const Config c = preset("bench-100m");
  EXPECT_EQ(c.vocab_size, 8192);
  EXPECT_EQ(c.hidden_size, 512);
  EXPECT_EQ(c.num_hidden_layers, 8);
  EXPECT_EQ(c.num_attention_heads, 8);
  EXPECT_EQ(c.q_lora_rank, 384);
  EXPECT_EQ(c.kv_lora_rank, 256);
  EXPECT_EQ(c.qk_nope_head_dim, 64);
  EXPECT_EQ(c.qk_rope_head_dim, 32);
  EXPECT_EQ(c.v_head_dim, 64);
  EXPECT_EQ(c.intermediate_size, 1536);
  EXPECT_EQ(c.n_routed_experts, 32);
  EXPECT_EQ(c.moe_intermediate_size, 256);
  EXPECT_EQ(c.num_experts_per_tok, 4);
  EXPECT_EQ(c.n_group, 4);
  EXPECT_EQ(c.topk_group, 2);
  EXPECT_EQ(c.n_shared_experts, 1);
  EXPECT_EQ(c.first_k_dense_replace, 1);
  EXPECT_EQ(c.num_nextn_predict_layers, 0);
}

}  // namespace
}  // namespace hadal::model
