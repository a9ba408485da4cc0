#include "model/accounting.h"

#include "model/build.h"

namespace hadal::model {

namespace {

enum Component { kAttention, kDense, kRouted, kShared, kRouter, kMtpGlue, kNorms, kEmbedding, kComponents };

constexpr const char* kNames[] = {"attention",       "dense FFN",      "routed experts", "shared experts",
                                  "router and bias", "MTP projection", "norms",          "embedding and head"};

Component component_of(const ParameterShape& p) {
  const std::string& name = p.parameter.name;
  const auto has = [&](std::string_view part) { return name.find(part) != std::string::npos; };
  if (p.parameter.kind == nn::ParameterKind::embedding) return kEmbedding;
  if (has("self_attn.")) return kAttention;  // its two small norms are counted with it, as in SPEC §4.5
  if (has("shared_experts.")) return kShared;
  if (has(".experts.")) return kRouted;
  if (has("mlp.gate.")) return kRouter;
  if (has("mlp.")) return kDense;
  return has("eh_proj") ? kMtpGlue : kNorms;
}

bool is_matrix(const ParameterShape& p) {
  return p.parameter.kind == nn::ParameterKind::matrix || p.parameter.kind == nn::ParameterKind::router;
}

struct Sums {
  std::int64_t total[kComponents] = {};
  std::int64_t active = 0;         // without embedding and head
  std::int64_t active_matmul = 0;  // of these, what is multiplied with
};

Sums sums_of(const Config& c, bool mtp) {
  Sums s;
  for (const ParameterShape& p : layout(c)) {
    if (p.mtp != mtp) continue;
    const Component component = component_of(p);
    const std::int64_t n = numel(p.shape),
                       used = p.parameter.stacked ? n / c.n_routed_experts * c.num_experts_per_tok : n;
    s.total[component] += n;
    if (component == kEmbedding) continue;
    s.active += used;
    if (is_matrix(p)) s.active_matmul += used;
  }
  return s;
}

std::int64_t qk_dim(const Config& c) { return c.is_mla() ? c.qk_nope_head_dim + c.qk_rope_head_dim : c.head_dim; }
std::int64_t v_dim(const Config& c) { return c.is_mla() ? c.v_head_dim : c.head_dim; }

}  // namespace

double train_flops_per_token(const Config& c, std::int64_t sequence) {
  const Sums main = sums_of(c, false), mtp = sums_of(c, true);
  const std::int64_t head = c.vocab_size * c.hidden_size, modules = c.num_nextn_predict_layers;
  const auto multiplied = static_cast<double>(main.active_matmul + mtp.active_matmul + (1 + modules) * head);
  const auto scores =
      static_cast<double>((c.num_hidden_layers + modules) * c.num_attention_heads * (qk_dim(c) + v_dim(c)));
  return 6 * multiplied + 3 * scores * static_cast<double>(sequence);
}

Accounting account(const Config& c, std::int64_t sequence) {
  const Sums main = sums_of(c, false), mtp = sums_of(c, true);
  Accounting a;
  for (int i = 0; i < kComponents; ++i) {
    if (main.total[i] > 0) a.components.emplace_back(kNames[i], main.total[i]);
    a.parameters += main.total[i];
    a.mtp_parameters += mtp.total[i];
  }
  const std::int64_t embedding = c.vocab_size * c.hidden_size;
  a.mtp_copies = c.num_nextn_predict_layers * 2 * embedding;
  a.active_neither = main.active;
  a.active_head_only = main.active + embedding;
  a.active_with_both = main.active + (c.tie_word_embeddings ? 1 : 2) * embedding;
  a.train_flops_per_token = train_flops_per_token(c, sequence);
  a.decode_flops_per_token = 2.0 * static_cast<double>(main.active_matmul + embedding);
  const std::int64_t layers = c.num_hidden_layers, heads = c.num_attention_heads;
  a.kv_elements = layers * (c.is_mla() ? c.kv_lora_rank + c.qk_rope_head_dim : 2 * c.num_key_value_heads * c.head_dim);
  a.kv_as_mha = layers * heads * (qk_dim(c) + v_dim(c));
  a.kv_as_gqa8 = layers * 2 * 8 * v_dim(c);
  return a;
}

}  // namespace hadal::model
