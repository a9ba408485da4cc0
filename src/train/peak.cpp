// The machine's own limit, and what a training step costs.
#include <algorithm>
#include <chrono>

#include "kernels/kernels.h"
#include "train/trainer.h"

namespace hadal::train {

double measure_gemm_peak(const kernels::Context& cx, DType act) {
  double best = 0;
  for (const std::int64_t n : cx.isa() == kernels::Isa::ref ? std::vector<std::int64_t>{64} : std::vector<std::int64_t>{1024, 2048}) {
    const Tensor a = Tensor::zeros({n, n}, act), b = Tensor::zeros({n, n}, act), c = Tensor::empty({n, n}, act);
    for (int i = 0; i < 4; ++i) {
      const auto start = std::chrono::steady_clock::now();
      kernels::run(cx, kernels::Matmul{.m = n, .n = n, .k = n, .a = a.raw(), .lda = n, .b = b.raw(), .ldb = n, .c = c.raw(), .ldc = n, .ab = act, .c_dtype = act});
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      best = std::max(best, 2.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n) / seconds);
    }
  }
  return best;
}

double train_flops_per_token(const model::Config& c, std::int64_t t) {
  const auto mlp = [&](std::int64_t width) { return 3 * c.hidden_size * width; };
  const std::int64_t d = c.hidden_size, h = c.num_attention_heads, qk = c.is_mla() ? c.qk_nope_head_dim + c.qk_rope_head_dim : c.head_dim;
  const std::int64_t v = c.is_mla() ? c.v_head_dim : c.head_dim;
  std::int64_t attention = 0;
  if (c.is_mla()) {
    attention = (c.q_lora_rank > 0 ? d * c.q_lora_rank + c.q_lora_rank * h * qk : d * h * qk) + d * (c.kv_lora_rank + c.qk_rope_head_dim) +
                c.kv_lora_rank * h * (c.qk_nope_head_dim + v) + h * v * d;
  } else {
    attention = d * h * qk * 2 + 2 * d * c.num_key_value_heads * qk;
  }
  const std::int64_t moe = mlp(c.moe_intermediate_size) * (c.num_experts_per_tok + c.n_shared_experts) + d * c.n_routed_experts;
  std::int64_t active = c.vocab_size * d;
  for (std::int64_t i = 0; i < c.num_hidden_layers; ++i) active += attention + (c.is_moe_layer(i) ? moe : mlp(c.intermediate_size));
  const std::int64_t module = attention + (c.n_routed_experts > 0 ? moe : mlp(c.intermediate_size)) + 2 * d * d + c.vocab_size * d;
  active += c.num_nextn_predict_layers * module;
  const std::int64_t layers = c.num_hidden_layers + c.num_nextn_predict_layers;
  return 6.0 * static_cast<double>(active) + 3.0 * static_cast<double>(layers * h * (qk + v) * t);
}

}  // namespace hadal::train
