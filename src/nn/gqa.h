// Grouped-query attention of the distilled dense models (SPEC §4.4): query head h uses key/value head h / (H / KV).
#pragma once

#include "nn/input.h"
#include "nn/parameters.h"

namespace hadal::nn {

class Gqa {
 public:
  struct Settings {
    std::int64_t hidden = 0, heads = 0, kv_heads = 0, head_dim = 0;
    bool qkv_bias = false;
    float softmax_scale = 1;
  };
  explicit Gqa(const Settings& settings) : s_(settings) {}

  // next: what is read after it.
  Tensor forward(const Input& in, const Tensor& x_TD, const ops::CacheLayer* layer, const FirstWeights& next) const;
  FirstWeights first_weights() const { return {&wq_, &wk_, &wv_}; }
  void visit(const std::string& prefix, const Visitor& f);
  const Settings& settings() const { return s_; }
  Settings& settings() { return s_; }

 private:
  Settings s_;
  Tensor wq_, wk_, wv_, wo_;
  Tensor bq_, bk_, bv_;  // undefined without qkv_bias
};

}  // namespace hadal::nn
