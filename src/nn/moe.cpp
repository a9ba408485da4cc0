#include "nn/moe.h"

#include "nn/linear.h"
#include "ops/dispatch.h"
#include "ops/linear.h"

namespace hadal::nn {

Tensor Mlp::forward(const Input& in, const Tensor& x_TD, const FirstWeights& next) const {
  ops::Products first(in.cx), second(in.cx);
  const Up gu{gate(in, x_TD, first), up(in, x_TD, first)};
  read_next(in, w2_);
  first.run();
  Tensor y = down(in, gu, second);
  read_next(in, next);
  second.run();
  return y;
}

Tensor Mlp::gate(const Input& in, const Tensor& x_TD, ops::Products& with) const { return linear(in, with, x_TD, w1_); }
Tensor Mlp::up(const Input& in, const Tensor& x_TD, ops::Products& with) const { return linear(in, with, x_TD, w3_); }

Tensor Mlp::down(const Input& in, const Up& up, ops::Products& with) const {
  return swiglu_linear(in, with, up.g_TF, up.u_TF, w2_);
}

void Mlp::visit(const std::string& prefix, const Visitor& f) {
  f({prefix + "gate_proj.weight", &w1_, ParameterKind::matrix});
  f({prefix + "up_proj.weight", &w3_, ParameterKind::matrix});
  f({prefix + "down_proj.weight", &w2_, ParameterKind::matrix});
}

Moe::Result Moe::forward(const Input& in, const Tensor& x_TD, const Tensor& forced_TK, const FirstWeights& next) const {
  read_next(in, shared_.first_weights());
  const Tensor logits_TE = ops::linear(in.cx, x_TD, gate_weight_ED_, DType::f32);
  const ops::Balance none;
  Result r;
  r.gate = ops::gate(in.cx, logits_TE, e_score_correction_bias_E_, s_.gate, forced_TK,
                     in.balance != nullptr ? *in.balance : none);
  const ops::Route route = ops::route(r.gate.ids_TK, s_.experts);
  const Tensor x_SD = ops::dispatch(in.cx, x_TD, route);
  ops::Products up(in.cx), down(in.cx);
  // The shared expert's come first and last: each thread has asked for its half of them before the choice was known.
  Mlp::Up shared_up;
  if (s_.has_shared) shared_up.g_TF = shared_.gate(in, x_TD, up);
  const Tensor g_SF = grouped_linear(in, up, x_SD, w1_EFD_, route.offsets_E1);
  const Tensor u_SF = grouped_linear(in, up, x_SD, w3_EFD_, route.offsets_E1);
  if (s_.has_shared) shared_up.u_TF = shared_.up(in, x_TD, up);
  if (decodes(in)) {
    ReadNext().experts(w2_EDF_, route.offsets_E1).weight(shared_.down_weight()).after_next_region(in.cx);
  }
  up.run();
  const Tensor y_SD = swiglu_linear(in, down, g_SF, u_SF, w2_EDF_, route.offsets_E1);
  forget(in, x_SD, [in, x_TD, route] { return ops::dispatch(in.cx, x_TD, route); });
  const Tensor shared_TD = s_.has_shared ? shared_.down(in, shared_up, down) : Tensor();
  read_next(in, next);
  down.run();
  r.y_TD = ops::combine(in.cx, y_SD, r.gate.weights_TK, shared_TD, route);
  return r;
}

void Moe::visit(const std::string& prefix, const Visitor& f) {
  f({prefix + "gate.weight", &gate_weight_ED_, ParameterKind::router});
  if (s_.has_bias) f({prefix + "gate.e_score_correction_bias", &e_score_correction_bias_E_, ParameterKind::gate_bias});
  f({prefix + "experts.{}.gate_proj.weight", &w1_EFD_, ParameterKind::matrix, true});
  f({prefix + "experts.{}.up_proj.weight", &w3_EFD_, ParameterKind::matrix, true});
  f({prefix + "experts.{}.down_proj.weight", &w2_EDF_, ParameterKind::matrix, true});
  if (s_.has_shared) shared_.visit(prefix + "shared_experts.", f);
}

}  // namespace hadal::nn
