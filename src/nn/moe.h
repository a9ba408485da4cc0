// Feed-forward parts: a dense SwiGLU, and the mixture of experts of V2/V3 (V3 eq 12-16; SPEC §2).
#pragma once

#include "nn/input.h"
#include "nn/parameters.h"
#include "ops/products.h"

namespace hadal::nn {

// down(silu(gate(x)) * up(x)); also the shared expert.
class Mlp {
 public:
  // next: what is read after it.
  Tensor forward(const Input& in, const Tensor& x_TD, const FirstWeights& next) const;
  FirstWeights first_weights() const { return {&w1_, &w3_}; }
  // The two halves of it, among other products: with.run() is the caller's, after each.
  struct Up {
    Tensor g_TF, u_TF;
  };
  Tensor gate(const Input& in, const Tensor& x_TD, ops::Products& with) const;
  Tensor up(const Input& in, const Tensor& x_TD, ops::Products& with) const;
  Tensor down(const Input& in, const Up& up, ops::Products& with) const;
  const Tensor& down_weight() const { return w2_; }
  void visit(const std::string& prefix, const Visitor& f);

 private:
  Tensor w1_, w3_, w2_;  // gate_proj (F, D), up_proj (F, D), down_proj (D, F)
};

class Moe {
 public:
  struct Settings {
    ops::GateSettings gate;
    std::int64_t experts = 0;
    bool has_bias = false;    // e_score_correction_bias (noaux_tc)
    bool has_shared = false;  // shared experts, stored as one MLP
  };
  explicit Moe(const Settings& settings) : s_(settings) {}

  struct Result {
    Tensor y_TD;
    ops::GateResult gate;  // loads, choice and balance loss are outputs: nothing is counted inside (SPEC §9.26)
  };
  // forced_TK: the choice as an input, or undefined. next: what is read after it.
  Result forward(const Input& in, const Tensor& x_TD, const Tensor& forced_TK, const FirstWeights& next) const;
  FirstWeights first_weights() const {
    const FirstWeights shared = shared_.first_weights();
    return {&gate_weight_ED_, shared[0], shared[1]};
  }
  void visit(const std::string& prefix, const Visitor& f);
  const Settings& settings() const { return s_; }
  Settings& settings() { return s_; }

 private:
  Settings s_;
  Tensor gate_weight_ED_, e_score_correction_bias_E_;
  Tensor w1_EFD_, w3_EFD_, w2_EDF_;
  Mlp shared_;
};

}  // namespace hadal::nn
