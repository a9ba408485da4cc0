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

}  // namespace

Tensor Block::forward(const Input& in, Tensor h_TD, const ops::CacheLayer* layer, const Tensor& forced_TK,
                      ops::GateResult* gate) const {
  const Tensor x = ops::rms_norm(in.cx, h_TD, attn_norm_, eps_, in.act);
  const Tensor a = std::visit([&](const auto& attention) { return attention.forward(in, x, layer); }, attention_);
  show(in, "attention", index_, a);
  h_TD = ops::add(in.cx, h_TD, a);
  const Tensor z = ops::rms_norm(in.cx, h_TD, ffn_norm_, eps_, in.act);
  Tensor y;
  if (const Moe* moe = std::get_if<Moe>(&ffn_)) {
    Moe::Result r = moe->forward(in, z, forced_TK);
    y = r.y_TD;
    show(in, "experts", index_, r.gate.ids_TK);
    show(in, "gate_weights", index_, r.gate.weights_TK);
    if (gate != nullptr) *gate = std::move(r.gate);
  } else {
    y = std::get<Mlp>(ffn_).forward(in, z);
  }
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
  const Tensor e = ops::rms_norm(in.cx, embedding_TD, enorm_, eps_, in.act);
  const Tensor p = ops::rms_norm(in.cx, previous_TD, hnorm_, eps_, in.act);
  Tensor h = ops::linear(in.cx, ops::concat_columns(in.cx, e, p), eh_proj_, DType::f32);
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
