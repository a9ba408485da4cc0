// One transformer block: h += attention(norm(h)); h += ffn(norm(h)) (SPEC §1.1), and the MTP module around one (V3 eq
// 21-25).
#pragma once

#include <variant>

#include "nn/gqa.h"
#include "nn/mla.h"
#include "nn/moe.h"

namespace hadal::nn {

class Block {
 public:
  Block(std::variant<Mla, Gqa> attention, std::variant<Mlp, Moe> ffn, std::int64_t index, float eps)
      : attention_(std::move(attention)), ffn_(std::move(ffn)), index_(index), eps_(eps) {}

  // h_TD is the residual stream, f32. gate gets the router's outputs if this is a MoE layer. next: what is read after
  // it.
  Tensor forward(const Input& in, const Tensor& h_TD, const ops::CacheLayer* layer, const Tensor& forced_TK,
                 ops::GateResult* gate, const FirstWeights& next = {}) const;
  FirstWeights first_weights() const {
    return std::visit([](const auto& attention) { return attention.first_weights(); }, attention_);
  }
  void visit(const std::string& prefix, const Visitor& f);
  bool is_moe() const { return std::holds_alternative<Moe>(ffn_); }
  std::variant<Mla, Gqa>& attention() { return attention_; }
  std::variant<Mlp, Moe>& ffn() { return ffn_; }

 private:
  Tensor run(const Input& in, Tensor h_TD, const ops::CacheLayer* layer, const Tensor& forced_TK, ops::GateResult* gate,
             const FirstWeights& next) const;

  std::variant<Mla, Gqa> attention_;
  std::variant<Mlp, Moe> ffn_;
  std::int64_t index_;
  float eps_;
  Tensor attn_norm_, ffn_norm_;
};

// h'_i = eh_proj [enorm(Emb(t_{i+k})) ; hnorm(h_i)] -> block -> norm (SPEC §3; the order is that of released weights).
class MtpModule {
 public:
  MtpModule(Block block, float eps) : block_(std::move(block)), eps_(eps) {}

  // previous_TD: hidden state of the trunk or of the module before; embedding_TD f32. Returns the residual stream f32
  // and the hidden state after shared_head.norm in the activation dtype, which the shared head takes.
  struct Result {
    Tensor residual_TD, hidden_TD;
  };
  Result forward(const Input& in, const Tensor& previous_TD, const Tensor& embedding_TD, const Tensor& forced_TK,
                 ops::GateResult* gate) const;
  void visit(const std::string& prefix, const Visitor& f);
  Block& block() { return block_; }

 private:
  Block block_;
  float eps_;
  Tensor enorm_, hnorm_, eh_proj_, norm_;
};

}  // namespace hadal::nn
