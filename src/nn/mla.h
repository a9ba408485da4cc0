// Multi-head latent attention (V2 eq 9-19, V3 eq 1-11; SPEC §1.2, §1.3).
#pragma once

#include "nn/input.h"
#include "nn/parameters.h"

namespace hadal::nn {

class Mla {
 public:
  struct Settings {
    std::int64_t hidden = 0, heads = 0, q_lora_rank = 0 /* 0: no compression of queries */, kv_lora_rank = 0;
    std::int64_t qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;
    float softmax_scale = 1, norm_eps = 1e-6f;
  };
  explicit Mla(const Settings& settings) : s_(settings) {}

  // x_TD in the activation dtype -> (T, D). layer: this layer's part of the cache, or null.
  // next: what is read after it.
  Tensor forward(const Input& in, const Tensor& x_TD, const ops::CacheLayer* layer, const FirstWeights& next) const;
  FirstWeights first_weights() const { return {s_.q_lora_rank > 0 ? &wq_a_ : &wq_, &wkv_a_}; }
  void visit(const std::string& prefix, const Visitor& f);
  const Settings& settings() const { return s_; }
  Settings& settings() { return s_; }

 private:
  Tensor latent(const Input& in, const Tensor& x, const Tensor& gain) const;  // norm of a compressed vector
  Tensor rotated(const Input& in, const Tensor& q) const;
  Tensor attend_expanded(const Input& in, const Tensor& q, const Tensor& kv, const Tensor& k_pe,
                         const ops::CacheLayer* layer) const;
  Tensor attend_latent(const Input& in, const Tensor& q, const Tensor& c_TC, const Tensor& k_pe,
                       const ops::CacheLayer& layer, const FirstWeights& next) const;
  Tensor absorbed(const Input& in, const Tensor& q, const ops::CacheLayer& layer, const ops::CacheSequence& sequence,
                  const FirstWeights& next) const;
  // What is read after absorbed attention, region by region: the values' half of wkv_b_, wo_, what comes after them.
  ReadNext after_attention(const FirstWeights& next) const;
  Tensor re_expanded(const Input& in, const Tensor& q, const ops::CacheLayer& layer,
                     const ops::CacheSequence& sequence) const;

  Settings s_;
  Tensor wq_, wq_a_, q_norm_, wq_b_;  // wq_ alone, or the other three
  Tensor wkv_a_, kv_norm_, wkv_b_, wo_;
};

}  // namespace hadal::nn
