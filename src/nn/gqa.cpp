#include "nn/gqa.h"

#include "nn/linear.h"
#include "ops/attention.h"
#include "ops/columns.h"

namespace hadal::nn {

Tensor Gqa::forward(const Input& in, const Tensor& x_TD, const ops::CacheLayer* layer, const FirstWeights& next) const {
  ops::Products projections(in.cx);
  const Tensor q_flat = linear(in, projections, x_TD, wq_, bq_), k_flat = linear(in, projections, x_TD, wk_, bk_);
  const Tensor v = linear(in, projections, x_TD, wv_, bv_);
  read_next(in, wo_);
  projections.run();
  const Tensor q = ops::rope(in.cx, q_flat, s_.heads, in.rope, in.positions_T);
  const Tensor k = ops::rope(in.cx, k_flat, s_.kv_heads, in.rope, in.positions_T);
  const std::int64_t width = s_.kv_heads * s_.head_dim;
  const ops::AttentionShape shape{s_.heads, s_.kv_heads, s_.head_dim, 0, s_.head_dim, s_.softmax_scale, in.fp8};
  const ops::KvLayout layout{2 * width, 0, width, s_.head_dim, s_.head_dim};
  Tensor o;
  if (layer == nullptr) {
    o = ops::attention(in.cx, q, ops::concat_columns(in.cx, k, v), {}, shape, layout, in.seq_start);
  } else {
    ops::write_cache(k, *layer, in.cached, 1, 0);
    ops::write_cache(v, *layer, in.cached, 1, width);
    o = ops::attention_cached(in.cx, q, *layer, in.cached, shape, layout);
  }
  read_next(in, next);
  return linear(in, o, wo_, {}, ops::Fp8Input::after_attention);
}

void Gqa::visit(const std::string& prefix, const Visitor& f) {
  f({prefix + "q_proj.weight", &wq_, ParameterKind::matrix});
  f({prefix + "k_proj.weight", &wk_, ParameterKind::matrix});
  f({prefix + "v_proj.weight", &wv_, ParameterKind::matrix});
  if (s_.qkv_bias) {
    f({prefix + "q_proj.bias", &bq_, ParameterKind::vector});
    f({prefix + "k_proj.bias", &bk_, ParameterKind::vector});
    f({prefix + "v_proj.bias", &bv_, ParameterKind::vector});
  }
  f({prefix + "o_proj.weight", &wo_, ParameterKind::matrix});
}

}  // namespace hadal::nn
