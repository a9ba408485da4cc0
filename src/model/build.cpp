#include "model/build.h"

#include <algorithm>
#include <map>

namespace hadal::model {

namespace {

nn::Mla::Settings mla_settings(const Config& c) {
  return {.hidden = c.hidden_size,
          .heads = c.num_attention_heads,
          .q_lora_rank = c.q_lora_rank,
          .kv_lora_rank = c.kv_lora_rank,
          .qk_nope_head_dim = c.qk_nope_head_dim,
          .qk_rope_head_dim = c.qk_rope_head_dim,
          .v_head_dim = c.v_head_dim,
          .softmax_scale = static_cast<float>(c.softmax_scale()),
          .norm_eps = 1e-6f};  // whatever rms_norm_eps says (SPEC §9.18)
}

nn::Moe::Settings moe_settings(const Config& c) {
  using kernels::GroupScore;
  ops::GateSettings g;
  g.score = c.scoring_func == Scoring::sigmoid ? kernels::GateScore::sigmoid : kernels::GateScore::softmax;
  g.top_k = c.num_experts_per_tok;
  const bool grouped = c.topk_method != TopkMethod::greedy && c.n_group > 1;
  g.group_score = !grouped                                ? GroupScore::none
                  : c.topk_method == TopkMethod::noaux_tc ? GroupScore::top2_sum
                                                          : GroupScore::max;
  g.groups = grouped ? c.n_group : 1;
  g.top_groups = grouped ? c.topk_group : 1;
  g.normalise = c.norm_topk_prob;
  // V2 either normalises or scales; V3 does both (SPEC §2.1, §2.2).
  const bool scaled = c.family == Family::deepseek_v3 || !c.norm_topk_prob;
  g.scale = scaled ? static_cast<float>(c.routed_scaling_factor) : 1.0f;
  return {g, c.n_routed_experts, c.topk_method == TopkMethod::noaux_tc, c.n_shared_experts > 0};
}

}  // namespace

nn::RopeSettings rope_settings(const Config& c) {
  nn::RopeSettings r;
  using Scaling = nn::RopeSettings::Scaling;
  r.scaling = c.rope.type == RopeScaling::Type::yarn     ? Scaling::yarn
              : c.rope.type == RopeScaling::Type::llama3 ? Scaling::llama3
                                                         : Scaling::none;
  r.dim = c.is_mla() ? c.qk_rope_head_dim : c.head_dim;
  r.theta = c.rope_theta;
  r.factor = c.rope.factor;
  r.original_positions = c.rope.original_max_position_embeddings;
  r.beta_fast = c.rope.beta_fast;
  r.beta_slow = c.rope.beta_slow;
  r.mscale = c.rope.mscale;
  r.mscale_all_dim = c.rope.mscale_all_dim;
  r.low_freq_factor = c.rope.low_freq_factor;
  r.high_freq_factor = c.rope.high_freq_factor;
  r.interleaved = c.is_mla();
  return r;
}

ops::RopeTable build_rope(const Config& config) {
  return nn::rope_table(rope_settings(config), config.max_position_embeddings);
}

nn::Block build_block(const Config& c, std::int64_t index) {
  const auto eps = static_cast<float>(c.rms_norm_eps);
  std::variant<nn::Mla, nn::Gqa> attention = nn::Mla(mla_settings(c));
  if (!c.is_mla()) {
    attention = nn::Gqa({.hidden = c.hidden_size,
                         .heads = c.num_attention_heads,
                         .kv_heads = c.num_key_value_heads,
                         .head_dim = c.head_dim,
                         .qkv_bias = c.attention_bias,
                         .softmax_scale = static_cast<float>(c.softmax_scale())});
  }
  // An MTP module's block is a MoE block like the trunk's last ones.
  const bool moe = c.n_routed_experts > 0 && (index >= c.num_hidden_layers || c.is_moe_layer(index));
  std::variant<nn::Mlp, nn::Moe> ffn = nn::Mlp();
  if (moe) ffn = nn::Moe(moe_settings(c));
  return nn::Block(std::move(attention), std::move(ffn), index, eps);
}

namespace {

bool ends_with(const std::string& name, std::string_view end) {
  return name.size() >= end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
}

// The shape of a parameter by its name inside a block; experts are stacks.
Shape shape_of(const Config& c, const std::string& name) {
  const std::int64_t d = c.hidden_size, heads = c.num_attention_heads, kv = c.num_key_value_heads, hd = c.head_dim;
  const std::int64_t qk = c.qk_nope_head_dim + c.qk_rope_head_dim, e = c.n_routed_experts, f = c.moe_intermediate_size;
  const bool shared = name.find("shared_experts.") != std::string::npos;
  const std::int64_t width = shared ? c.n_shared_experts * f : c.intermediate_size;
  if (name.find("experts.{}.") != std::string::npos)
    return ends_with(name, "down_proj.weight") ? Shape{e, d, f} : Shape{e, f, d};
  const std::vector<std::pair<std::string_view, Shape>> table = {
      {"q_a_proj.weight", {c.q_lora_rank, d}},
      {"q_a_layernorm.weight", {c.q_lora_rank}},
      {"q_b_proj.weight", {heads * qk, c.q_lora_rank}},
      {"kv_a_proj_with_mqa.weight", {c.kv_lora_rank + c.qk_rope_head_dim, d}},
      {"kv_a_layernorm.weight", {c.kv_lora_rank}},
      {"kv_b_proj.weight", {heads * (c.qk_nope_head_dim + c.v_head_dim), c.kv_lora_rank}},
      {"q_proj.weight", {c.is_mla() ? heads * qk : heads * hd, d}},
      {"k_proj.weight", {kv * hd, d}},
      {"v_proj.weight", {kv * hd, d}},
      {"o_proj.weight", {d, heads * (c.is_mla() ? c.v_head_dim : hd)}},
      {"q_proj.bias", {heads * hd}},
      {"k_proj.bias", {kv * hd}},
      {"v_proj.bias", {kv * hd}},
      {"mlp.gate.weight", {e, d}},
      {"e_score_correction_bias", {e}},
      {"gate_proj.weight", {width, d}},
      {"up_proj.weight", {width, d}},
      {"down_proj.weight", {d, width}},
      {"eh_proj.weight", {d, 2 * d}},
  };
  for (const auto& [end, shape] : table) {
    if (ends_with(name, end)) return shape;
  }
  return {d};  // the norms of width D
}

}  // namespace

void allocate(const Config& config, DType compute, std::vector<nn::Block>& blocks, std::vector<nn::MtpModule>& mtp) {
  // In fp8 the linears quantise their masters themselves; eh_proj stays in bf16, as it is released (SPEC §9.17).
  const bool fp8 = compute == DType::f8_e4m3;
  const nn::Visitor make = [&](const nn::Parameter& p) {
    const bool matrix = p.kind == nn::ParameterKind::matrix || p.kind == nn::ParameterKind::embedding;
    const DType weights = !fp8 ? compute : ends_with(p.name, "eh_proj.weight") ? DType::bf16 : DType::f32;
    *p.value = Tensor::empty(shape_of(config, p.name), matrix ? weights : DType::f32);
  };
  for (auto& block : blocks) block.visit("", make);
  for (auto& module : mtp) module.visit("", make);
}

std::vector<ParameterShape> layout(const Config& c) {
  std::vector<ParameterShape> all;
  const auto single = [&](const std::string& name, Shape shape, nn::ParameterKind kind) {
    all.push_back({{name, nullptr, kind}, std::move(shape), false});
  };
  const auto add_visited = [&](auto& part, const std::string& prefix, bool mtp) {
    part.visit(prefix, [&](const nn::Parameter& p) {
      const nn::Parameter named{p.name, nullptr, p.kind, p.stacked};
      all.push_back({named, shape_of(c, p.name.substr(prefix.size())), mtp});
    });
  };
  single("model.embed_tokens.weight", {c.vocab_size, c.hidden_size}, nn::ParameterKind::embedding);
  for (std::int64_t i = 0; i < c.num_hidden_layers; ++i) {
    nn::Block block = build_block(c, i);
    add_visited(block, fmt::format("model.layers.{}.", i), false);
  }
  single("model.norm.weight", {c.hidden_size}, nn::ParameterKind::vector);
  if (!c.tie_word_embeddings) single("lm_head.weight", {c.vocab_size, c.hidden_size}, nn::ParameterKind::embedding);
  for (std::int64_t k = 0; k < c.num_nextn_predict_layers; ++k) {
    const std::int64_t index = c.num_hidden_layers + k;
    nn::MtpModule module(build_block(c, index), static_cast<float>(c.rms_norm_eps));
    add_visited(module, fmt::format("model.layers.{}.", index), true);
  }
  return all;
}

}  // namespace hadal::model
