#include "nn/block.h"

#include "ops/add.h"
#include "ops/columns.h"
#include "ops/linear.h"
#include "ops/rms_norm.h"

namespace hadal::nn {

namespace {

void show(const Input& in, std::string_view what, std::int64_t layer, const Tensor& value) {
  if (in.probe != nullptr) (*in.probe)(what, layer, value);
}

// norm(h), for the forward and again for the backward.
auto normed(const Input& in, const Tensor& h_TD, const Tensor& gain, float eps) {
  return [in, h_TD, gain, eps] { return ops::rms_norm(in.cx, h_TD, gain, eps, in.act); };
}

}  // namespace

Tensor Block::forward(const Input& in, const Tensor& h_TD, const ops::CacheLayer* layer, const Tensor& forced_TK,
                      ops::GateResult* gate, const FirstWeights& next) const {
  if (in.recompute != Recompute::blocks || !h_TD.node()) return run(in, h_TD, layer, forced_TK, gate, next);
  // The second run makes the same choice; its outputs beside the value are not wanted again, nor shown. While its
  // backward goes on, it keeps as little as the selective way does.
  return autograd::recompute(
      {h_TD}, [this, own = Input(in), layer, forced_TK, gate, next](const std::vector<Tensor>& h) mutable {
        const Tensor out = run(own, h[0], layer, forced_TK, gate, next);
        own.recompute = Recompute::selective;
        own.probe = nullptr;
        gate = nullptr;
        return out;
      });
}

Tensor Block::run(const Input& in, Tensor h_TD, const ops::CacheLayer* layer, const Tensor& forced_TK,
                  ops::GateResult* gate, const FirstWeights& next) const {
  const auto attn_norm = normed(in, h_TD, attn_norm_, eps_);
  const Tensor x = attn_norm();
  const FirstWeights ffn = std::visit([](const auto& f) { return f.first_weights(); }, ffn_);
  const Tensor a = std::visit([&](const auto& attention) { return attention.forward(in, x, layer, ffn); }, attention_);
  forget(in, x, attn_norm);
  show(in, "attention", index_, a);
  h_TD = ops::add(in.cx, h_TD, a);
  const auto ffn_norm = normed(in, h_TD, ffn_norm_, eps_);
  const Tensor z = ffn_norm();
  Tensor y;
  if (const Moe* moe = std::get_if<Moe>(&ffn_)) {
    Moe::Result r = moe->forward(in, z, forced_TK, next);
    y = r.y_TD;
    show(in, "experts", index_, r.gate.ids_TK);
    show(in, "gate_weights", index_, r.gate.weights_TK);
    if (gate != nullptr) *gate = std::move(r.gate);
  } else {
    y = std::get<Mlp>(ffn_).forward(in, z, next);
  }
  forget(in, z, ffn_norm);
  show(in, "ffn", index_, y);
  h_TD = ops::add(in.cx, h_TD, y);
  show(in, "output", index_, h_TD);
  return h_TD;
}

void Block::visit(const std::string& prefix, const Visitor& f) {
  f({prefix + "input_layernorm.weight", &attn_norm_, ParameterKind::vector});
  std::visit([&](auto& attention) { attention.visit(prefix + "self_attn.", f); }, attention_);
  f({prefix + "post_attention_layernorm.weight", &ffn_norm_, ParameterKind::vector});
  std::visit([&](auto& ffn) { ffn.visit(prefix + "mlp.", f); }, ffn_);
}

MtpModule::Result MtpModule::forward(const Input& in, const Tensor& previous_TD, const Tensor& embedding_TD,
                                     const Tensor& forced_TK, ops::GateResult* gate) const {
  const auto enorm = normed(in, embedding_TD, enorm_, eps_), hnorm = normed(in, previous_TD, hnorm_, eps_);
  const Tensor both = ops::concat_columns(in.cx, enorm(), hnorm());
  Tensor h = ops::linear(in.cx, both, eh_proj_, DType::f32);
  forget(in, both, [in, enorm, hnorm] { return ops::concat_columns(in.cx, enorm(), hnorm()); });
  h = block_.forward(in, h, nullptr, forced_TK, gate);
  return {h, ops::rms_norm(in.cx, h, norm_, eps_, in.act)};
}

void MtpModule::visit(const std::string& prefix, const Visitor& f) {
  f({prefix + "enorm.weight", &enorm_, ParameterKind::vector});
  f({prefix + "hnorm.weight", &hnorm_, ParameterKind::vector});
  f({prefix + "eh_proj.weight", &eh_proj_, ParameterKind::matrix});
  block_.visit(prefix, f);
  f({prefix + "shared_head.norm.weight", &norm_, ParameterKind::vector});
}

}  // namespace hadal::nn
