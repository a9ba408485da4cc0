// Bugs that act as changed weights, settings or tables of a loaded model, for every layer at once.
#pragma once

#include <cmath>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "model/build.h"
#include "model/causal_lm.h"

namespace hadal::planted {

using model::CausalLm;

// Every parameter whose name has this end; the test stops if there is none.
inline void each(CausalLm& m, const std::string& end, const std::function<void(Tensor&)>& f) {
  bool found = false;
  m.visit([&](const nn::Parameter& p) {
    if (!p.name.ends_with(end)) return;
    found = true;
    f(*p.value);
  });
  if (!found) fail("no parameter of the model is named ...{}", end);
}

inline Tensor only(CausalLm& m, const std::string& end) {
  std::vector<Tensor> all;
  each(m, end, [&](Tensor& t) { all.push_back(t); });
  if (all.size() != 1) fail("{} parameters of the model are named ...{}", all.size(), end);
  return all[0];
}

inline void copy(const Tensor& from, const Tensor& to) {
  const std::vector<float> values(from.span<float>().begin(), from.span<float>().end());
  std::copy(values.begin(), values.end(), to.data<float>());
}

inline void zero(CausalLm& m, const std::string& end) {
  each(m, end, [](Tensor& t) { std::fill(t.span<float>().begin(), t.span<float>().end(), 0.0f); });
}
inline void scale(CausalLm& m, const std::string& end, double by) {
  each(m, end, [by](Tensor& t) {
    for (float& v : t.span<float>()) v *= static_cast<float>(by);
  });
}

// Row i becomes what row source[i] was.
inline void permute_rows(const Tensor& t, const std::vector<std::int64_t>& source) {
  const Tensor old = t.clone();
  const std::int64_t width = t.numel() / t.size(0);
  for (std::size_t i = 0; i < source.size(); ++i) {
    std::copy_n(old.data<float>() + source[i] * width, width, t.data<float>() + static_cast<std::int64_t>(i) * width);
  }
}
inline void permute_columns(const Tensor& t, const std::vector<std::int64_t>& source) {
  const Tensor old = t.clone();
  const auto width = static_cast<std::int64_t>(source.size());
  for (std::int64_t r = 0; r < t.size(0); ++r) {
    for (std::int64_t c = 0; c < width; ++c) {
      t.data<float>()[r * width + c] = old.data<float>()[r * width + source[static_cast<std::size_t>(c)]];
    }
  }
}
inline std::vector<std::int64_t> range(std::int64_t begin, std::int64_t end) {
  std::vector<std::int64_t> r(static_cast<std::size_t>(end - begin));
  std::iota(r.begin(), r.end(), begin);
  return r;
}
inline void append(std::vector<std::int64_t>& to, std::int64_t begin, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) to.push_back(begin + i);
}

// ---- layouts

// kv_b_proj read as [K of all heads | V of all heads]; it is [K | V] head by head.
inline void kv_b_all_keys_first(CausalLm& m) {
  const model::Config& c = m.config();
  const std::int64_t k = c.qk_nope_head_dim, v = c.v_head_dim, heads = c.num_attention_heads;
  std::vector<std::int64_t> source;
  for (std::int64_t h = 0; h < heads; ++h) {
    append(source, h * k, k);
    append(source, heads * k + h * v, v);
  }
  each(m, ".kv_b_proj.weight", [&](Tensor& t) { permute_rows(t, source); });
}

// Heads of queries read as [rope | nope].
inline void q_rope_first(CausalLm& m, const std::string& end) {
  const std::int64_t nope = m.config().qk_nope_head_dim, rope = m.config().qk_rope_head_dim;
  std::vector<std::int64_t> source;
  for (std::int64_t h = 0; h < m.config().num_attention_heads; ++h) {
    append(source, h * (nope + rope) + rope, nope);
    append(source, h * (nope + rope), rope);
  }
  each(m, end, [&](Tensor& t) { permute_rows(t, source); });
}

// kv_a_proj_with_mqa read as [k_pe | c].
inline void kv_a_rope_first(CausalLm& m) {
  std::vector<std::int64_t> source =
      range(m.config().qk_rope_head_dim, m.config().qk_rope_head_dim + m.config().kv_lora_rank);
  append(source, 0, m.config().qk_rope_head_dim);
  each(m, ".kv_a_proj_with_mqa.weight", [&](Tensor& t) { permute_rows(t, source); });
}

// Query head h with key/value head h mod KV instead of h / (H / KV): the heads in another order, in and out.
inline void gqa_heads_taken_in_turn(CausalLm& m) {
  const model::Config& c = m.config();
  const std::int64_t d = c.head_dim, group = c.num_attention_heads / c.num_key_value_heads;
  std::vector<std::int64_t> source;
  for (std::int64_t slot = 0; slot < c.num_attention_heads; ++slot) {
    append(source, (slot % group * c.num_key_value_heads + slot / group) * d, d);
  }
  each(m, ".q_proj.weight", [&](Tensor& t) { permute_rows(t, source); });
  each(m, ".q_proj.bias", [&](Tensor& t) { permute_rows(t, source); });
  each(m, ".o_proj.weight", [&](Tensor& t) { permute_columns(t, source); });
}

inline void mtp_hidden_before_embedding(CausalLm& m) {
  std::vector<std::int64_t> source = range(m.config().hidden_size, 2 * m.config().hidden_size);
  append(source, 0, m.config().hidden_size);
  each(m, ".eh_proj.weight", [&](Tensor& t) { permute_columns(t, source); });
}

inline void swap_weights(CausalLm& m, const std::string& a, const std::string& b) {
  std::vector<Tensor> first;
  each(m, a, [&](Tensor& t) { first.push_back(t); });
  std::size_t i = 0;
  each(m, b, [&](Tensor& t) {
    const Tensor old = t.clone();
    copy(first[i], t);
    copy(old, first[i++]);
  });
}

// The second MTP module has the first one's weights.
inline void mtp_modules_share_weights(CausalLm& m) {
  const std::string first = fmt::format("model.layers.{}.", m.config().num_hidden_layers),
                    second = fmt::format("model.layers.{}.", m.config().num_hidden_layers + 1);
  m.visit([&](const nn::Parameter& p) {
    if (p.name.starts_with(second)) copy(only(m, first + p.name.substr(second.size())), *p.value);
  });
}

// ---- attention scale and RoPE

template <class Attention>
void scale_attention(CausalLm& m, double by) {
  const auto change = [by](nn::Block& b) {
    std::get<Attention>(b.attention()).settings().softmax_scale *= static_cast<float>(by);
  };
  for (nn::Block& b : m.blocks()) change(b);
  for (nn::MtpModule& k : m.mtp_modules()) change(k.block());
}

inline double yarn_m(const CausalLm& m) {
  return nn::yarn_mscale(m.config().rope.factor, m.config().rope.mscale_all_dim);
}

inline void rope_changed(CausalLm& m, const std::function<void(nn::RopeSettings&)>& change) {
  nn::RopeSettings s = model::rope_settings(m.config());
  change(s);
  m.rope() = nn::rope_table(s, m.rope().cos.size(0));
}

}  // namespace hadal::planted
