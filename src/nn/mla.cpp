#include "nn/mla.h"

#include <numeric>

#include "nn/linear.h"
#include "ops/absorb.h"
#include "ops/attention.h"
#include "ops/columns.h"
#include "ops/rms_norm.h"

namespace hadal::nn {

Tensor Mla::forward(const Input& in, const Tensor& x_TD, const ops::CacheLayer* layer, const FirstWeights& next) const {
  const bool compressed = s_.q_lora_rank > 0;
  ops::Products down(in.cx), up(in.cx);
  const Tensor qa = compressed ? linear(in, down, x_TD, wq_a_) : Tensor();
  const Tensor ckv_kpe = linear(in, down, x_TD, wkv_a_);  // (T, [C | rope]): eq 1, 3
  compressed ? read_next(in, wq_b_, wkv_b_) : read_next(in, wq_, wkv_b_);
  down.run();
  const Tensor cq = compressed ? latent(in, qa, q_norm_) : x_TD;  // eq 6
  auto [ckv, k_pe] = ops::split_columns(in.cx, ckv_kpe, s_.kv_lora_rank);
  const Tensor c_TC = latent(in, ckv, kv_norm_);
  const bool absorb = layer != nullptr && in.form == MlaForm::latent;
  const Tensor q_flat = linear(in, up, cq, s_.q_lora_rank > 0 ? wq_b_ : wq_);  // eq 7
  const Tensor kv = absorb ? Tensor() : linear(in, up, c_TC, wkv_b_);          // (T, H * [k_nope | v]): eq 2, 5
  absorb ? read_next(in, wkv_b_) : read_next(in, wo_);
  up.run();
  const Tensor q = rotated(in, q_flat);                       // (T, H * [nope | rope]): eq 8
  k_pe = ops::rope(in.cx, k_pe, 1, in.rope, in.positions_T);  // not normalised, shared by all heads
  const Tensor o = absorb ? attend_latent(in, q, c_TC, k_pe, *layer, next) : attend_expanded(in, q, kv, k_pe, layer);
  if (!absorb) forget(in, kv, [this, in, c_TC] { return linear(in, c_TC, wkv_b_); });
  forget(in, c_TC, [this, in, x = ckv] { return latent(in, x, kv_norm_); });
  if (compressed) {
    forget(in, q, [this, in, cq] { return rotated(in, linear(in, cq, wq_b_)); });
    forget(in, cq, [this, in, qa] { return latent(in, qa, q_norm_); });
  }
  read_next(in, next);
  return linear(in, o, wo_, {}, ops::Fp8Input::after_attention);  // eq 11
}

Tensor Mla::latent(const Input& in, const Tensor& x, const Tensor& gain) const {
  return ops::rms_norm(in.cx, x, gain, s_.norm_eps, in.act);
}

Tensor Mla::rotated(const Input& in, const Tensor& q) const {
  return ops::rope(in.cx, q, s_.heads, in.rope, in.positions_T);
}

namespace {

ops::AttentionShape expanded_shape(const Mla::Settings& s) {
  return {s.heads, s.heads, s.qk_nope_head_dim, s.qk_rope_head_dim, s.v_head_dim, s.softmax_scale};
}

// A row of the expanded keys and values: per head [k_nope | v], as wkv_b makes it.
ops::KvLayout expanded_layout(const Mla::Settings& s) {
  const std::int64_t head = s.qk_nope_head_dim + s.v_head_dim;
  return {s.heads * head, 0, s.qk_nope_head_dim, head, head};
}

}  // namespace

Tensor Mla::attend_expanded(const Input& in, const Tensor& q, const Tensor& kv, const Tensor& k_pe,
                            const ops::CacheLayer* layer) const {
  if (layer == nullptr) {
    ops::AttentionShape shape = expanded_shape(s_);
    shape.e5m6_out = in.fp8;
    return ops::attention(in.cx, q, kv, k_pe, shape, expanded_layout(s_), in.seq_start);
  }
  ops::write_cache(kv, *layer, in.cached, 1, 0);
  ops::write_cache(k_pe, *layer, in.cached, 2, 0);
  return ops::attention_cached(in.cx, q, *layer, in.cached, expanded_shape(s_), expanded_layout(s_));
}

Tensor Mla::attend_latent(const Input& in, const Tensor& q, const Tensor& c_TC, const Tensor& k_pe,
                          const ops::CacheLayer& layer, const FirstWeights& next) const {
  ops::write_cache(c_TC, layer, in.cached, 1, 0);
  ops::write_cache(k_pe, layer, in.cached, 2, 0);
  Tensor o = Tensor::empty({q.size(0), s_.heads * s_.v_head_dim}, in.act);
  // The form of a sequence depends on its own number of new tokens only, never on what else is in the batch.
  for (const ops::CacheSequence& sequence : in.cached) {
    const bool expand = sequence.row_end - sequence.row_begin > in.crossover;
    const Tensor part = expand ? re_expanded(in, q, layer, sequence) : absorbed(in, q, layer, sequence, next);
    std::copy_n(static_cast<const std::byte*>(part.raw()), part.bytes(),
                static_cast<std::byte*>(o.rows(sequence.row_begin, sequence.row_end).raw()));
  }
  return o;
}

Tensor Mla::absorbed(const Input& in, const Tensor& q, const ops::CacheLayer& layer, const ops::CacheSequence& sequence,
                     const FirstWeights& next) const {
  const ops::AbsorbShape shape{s_.heads, s_.qk_nope_head_dim, s_.qk_rope_head_dim, s_.v_head_dim, s_.kv_lora_rank};
  const Tensor q_lat = ops::absorb_queries(in.cx, q.rows(sequence.row_begin, sequence.row_end), wkv_b_, shape);
  const ops::CacheSequence own{0, q_lat.size(0), sequence.first, sequence.blocks};
  if (decodes(in)) after_attention(next).after_next_region(in.cx);
  const Tensor o_lat =
      ops::attention_cached(in.cx, q_lat, layer, {&own, 1},
                            {s_.heads, 1, s_.kv_lora_rank, s_.qk_rope_head_dim, s_.kv_lora_rank, s_.softmax_scale},
                            {s_.kv_lora_rank, 0, 0, 0, 0});
  read_next(in, wo_);
  return ops::absorb_values(in.cx, o_lat, wkv_b_, shape);
}

ReadNext Mla::after_attention(const FirstWeights& next) const {
  ReadNext soon;
  const std::int64_t head = s_.qk_nope_head_dim + s_.v_head_dim;
  for (std::int64_t h = 0; h < s_.heads; ++h) soon.rows(wkv_b_, h * head + s_.qk_nope_head_dim, (h + 1) * head);
  soon.then().weight(wo_).then();
  for (std::size_t i = 0; i < next.size(); ++i) {
    if (next[i] != nullptr) soon.weight(*next[i]);
    if (i == 0) soon.then();  // a router, which chooses before the rest is read
  }
  return soon;
}

Tensor Mla::re_expanded(const Input& in, const Tensor& q, const ops::CacheLayer& layer,
                        const ops::CacheSequence& sequence) const {
  const std::int64_t length = sequence.first + sequence.row_end - sequence.row_begin;
  const Tensor c = ops::read_cache(layer, sequence, length, 1), k_pe = ops::read_cache(layer, sequence, length, 2);
  const Tensor kv = linear(in, c, wkv_b_.detach());
  // Rows 0, 64, 128 ... of the expanded keys serve as the blocks of a cache for this one call.
  std::vector<std::int32_t> blocks(static_cast<std::size_t>((length + 63) / 64));
  std::iota(blocks.begin(), blocks.end(), 0);
  const ops::CacheLayer once{in.act, kv.size(1), k_pe.size(1), static_cast<std::byte*>(kv.raw()),
                             static_cast<std::byte*>(k_pe.raw())};
  const ops::CacheSequence own{0, sequence.row_end - sequence.row_begin, sequence.first, blocks};
  return ops::attention_cached(in.cx, q.rows(sequence.row_begin, sequence.row_end), once, {&own, 1}, expanded_shape(s_),
                               expanded_layout(s_));
}

void Mla::visit(const std::string& prefix, const Visitor& f) {
  if (s_.q_lora_rank > 0) {
    f({prefix + "q_a_proj.weight", &wq_a_, ParameterKind::matrix});
    f({prefix + "q_a_layernorm.weight", &q_norm_, ParameterKind::vector});
    f({prefix + "q_b_proj.weight", &wq_b_, ParameterKind::matrix});
  } else {
    f({prefix + "q_proj.weight", &wq_, ParameterKind::matrix});
  }
  f({prefix + "kv_a_proj_with_mqa.weight", &wkv_a_, ParameterKind::matrix});
  f({prefix + "kv_a_layernorm.weight", &kv_norm_, ParameterKind::vector});
  f({prefix + "kv_b_proj.weight", &wkv_b_, ParameterKind::matrix});
  f({prefix + "o_proj.weight", &wo_, ParameterKind::matrix});
}

}  // namespace hadal::nn
