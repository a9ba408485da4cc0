// Random small models and texts for tests, from a seed.
#pragma once

#include <cmath>
#include <cstring>
#include <random>

#include "kernels/kernels.h"
#include "model/causal_lm.h"

namespace hadal::test {

using Random = std::mt19937_64;

inline double normal(Random& random) { return std::normal_distribution<double>()(random); }
inline std::int64_t between(Random& random, std::int64_t low, std::int64_t high) {
  return std::uniform_int_distribution<std::int64_t>(low, high)(random);
}

inline void fill(const Tensor& t, Random& random, double scale, double mean = 0) {
  for (std::int64_t i = 0; i < t.numel(); ++i) {
    const auto v = static_cast<float>(mean + scale * normal(random));
    if (t.dtype() == DType::bf16) {
      t.data<bf16>()[i] = bf16(v);
    } else {
      t.data<float>()[i] = v;
    }
  }
}

inline Tensor random_tensor(Shape shape, DType dtype, Random& random, double scale = 1) {
  Tensor t = Tensor::empty(shape, dtype);
  fill(t, random, scale);
  return t;
}

inline void randomise(model::CausalLm& model, Random& random) {
  model.visit([&](const nn::Parameter& p) {
    switch (p.kind) {
      case nn::ParameterKind::vector:
        fill(*p.value, random, 0.1, p.name.ends_with(".bias") ? 0 : 1);
        break;
      case nn::ParameterKind::gate_bias:
        fill(*p.value, random, 0.3);
        break;
      case nn::ParameterKind::embedding:
        fill(*p.value, random, 0.5);
        break;
      default:
        fill(*p.value, random, 1.0 / std::sqrt(static_cast<double>(p.value->size(-1))));
        break;
    }
  });
}

inline model::Config small_v3(Random& random) {
  model::Config c;
  c.family = model::Family::deepseek_v3;
  c.vocab_size = 97;
  c.hidden_size = 8 * between(random, 4, 9);
  c.num_hidden_layers = 3;
  c.num_attention_heads = between(random, 1, 4);
  c.num_key_value_heads = c.num_attention_heads;
  c.q_lora_rank = between(random, 0, 1) * 24;
  c.kv_lora_rank = between(random, 9, 40);
  c.qk_nope_head_dim = between(random, 3, 24);
  c.qk_rope_head_dim = 2 * between(random, 2, 6);
  c.v_head_dim = between(random, 5, 24);
  c.intermediate_size = between(random, 20, 70);
  c.moe_intermediate_size = between(random, 11, 40);
  c.n_routed_experts = 8;
  c.n_shared_experts = between(random, 0, 2);
  c.num_experts_per_tok = between(random, 1, 4);
  c.n_group = 4;
  c.topk_group = 2;
  c.norm_topk_prob = true;
  c.routed_scaling_factor = 2.5;
  c.first_k_dense_replace = 1;
  c.num_nextn_predict_layers = 1;
  c.max_position_embeddings = 2048;
  c.eos_token_ids = {1};
  return c;
}

inline std::vector<std::int32_t> random_tokens(Random& random, std::int64_t n, std::int64_t vocab) {
  std::vector<std::int32_t> t(static_cast<std::size_t>(n));
  for (auto& v : t) v = static_cast<std::int32_t>(between(random, 0, vocab - 1));
  return t;
}

inline std::vector<kernels::Isa> isas() {
  std::vector<kernels::Isa> all;
  for (const auto isa : {kernels::Isa::ref, kernels::Isa::avx2, kernels::Isa::avx512, kernels::Isa::avx512bf16}) {
    if (kernels::supported(isa)) all.push_back(isa);
  }
  return all;
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

}  // namespace hadal::test
