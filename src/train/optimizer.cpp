#include "train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/kernels.h"
#include "tensor/sizes_only.h"

namespace hadal::train {

namespace {

void convert(const kernels::Context& cx, const Tensor& from, const Tensor& to) {
  kernels::run(
      cx,
      kernels::Cast{.n = from.numel(), .x = from.raw(), .x_dtype = from.dtype(), .y = to.raw(), .y_dtype = to.dtype()});
}

bool is_matrix(nn::ParameterKind kind) {
  return kind != nn::ParameterKind::vector && kind != nn::ParameterKind::gate_bias;
}

}  // namespace

Optimizer::Optimizer(model::CausalLm& model, const AdamWSettings& settings) : settings_(settings) {
  ThreadPool one(1);
  const kernels::Context cx(one, kernels::Isa::ref);
  model.visit([&](const nn::Parameter& p) {
    if (p.kind == nn::ParameterKind::gate_bias) return;
    TrainedParameter t{p};
    const Shape& shape = p.value->shape();
    if (p.value->dtype() == DType::f32) {
      t.master = *p.value;
    } else {
      t.master = Tensor::empty(shape, DType::f32);
      if (SizesOnly::current() == nullptr) convert(cx, *p.value, t.master);
    }
    t.m = Tensor::zeros(shape, settings.moments);
    t.v = Tensor::zeros(shape, settings.moments);
    t.decays = is_matrix(p.kind);
    parameters_.push_back(std::move(t));
  });
}

void Optimizer::zero_grads() {
  for (TrainedParameter& p : parameters_) p.grad = Tensor();
}

double Optimizer::grad_norm(const kernels::Context& cx) const {
  double total = 0;
  for (const TrainedParameter& p : parameters_) {
    double squares = 0;
    kernels::run(cx, kernels::SumSquares{.n = p.grad.numel(), .x = p.grad.data<float>(), .result = &squares});
    total += squares;
  }
  return std::sqrt(total);
}

void Optimizer::step(const kernels::Context& cx, double lr, double grad_scale, std::int64_t step) {
  const auto t = static_cast<double>(step);
  // The moments decay by beta as f32 holds it, so their bias is that of the same number: near 1 the two differ.
  const auto bias = [t](double beta) {
    return static_cast<float>(1 - std::pow(static_cast<double>(static_cast<float>(beta)), t));
  };
  for (TrainedParameter& p : parameters_) {
    Tensor& compute = *p.parameter.value;
    kernels::run(cx, kernels::AdamW{.n = p.master.numel(),
                                    .p = p.master.data<float>(),
                                    .grad = p.grad.data<float>(),
                                    .m = p.m.raw(),
                                    .v = p.v.raw(),
                                    .moments = settings_.moments,
                                    .compute = compute.dtype() == DType::bf16 ? compute.data<bf16>() : nullptr,
                                    .grad_scale = static_cast<float>(grad_scale),
                                    .lr = static_cast<float>(lr),
                                    .beta1 = static_cast<float>(settings_.beta1),
                                    .beta2 = static_cast<float>(settings_.beta2),
                                    .eps = static_cast<float>(settings_.eps),
                                    .decay = p.decays ? static_cast<float>(settings_.decay) : 0.0f,
                                    .bias1 = bias(settings_.beta1),
                                    .bias2 = bias(settings_.beta2)});
    p.grad = Tensor();
  }
}

void Optimizer::refresh(const kernels::Context& cx) {
  for (TrainedParameter& p : parameters_) {
    if (p.parameter.value->dtype() != DType::f32) convert(cx, p.master, *p.parameter.value);
  }
}

Watch::Watch(autograd::Tape& tape, Optimizer& optimizer) : optimizer_(&optimizer) {
  for (TrainedParameter& p : optimizer.parameters()) {
    tape.watch(*p.parameter.value, std::move(p.grad));
  }
}

Watch::~Watch() {
  for (TrainedParameter& p : optimizer_->parameters()) {
    autograd::settle(*p.parameter.value);
    p.grad = std::move(p.parameter.value->node()->grad);
    p.parameter.value->set_node(nullptr);
  }
}

void update_gate_bias(const Tensor& bias_E, const std::vector<std::int64_t>& loads_E, double gamma) {
  HADAL_ASSERT(bias_E.numel() == static_cast<std::int64_t>(loads_E.size()));
  std::int64_t total = 0;
  for (const std::int64_t l : loads_E) total += l;
  const auto experts = static_cast<std::int64_t>(loads_E.size());
  for (std::size_t i = 0; i < loads_E.size(); ++i) {
    // mean - load in integers, times the number of experts: exact.
    const std::int64_t lack = total - loads_E[i] * experts;
    const int sign = lack > 0 ? 1 : lack < 0 ? -1 : 0;
    bias_E.data<float>()[i] += static_cast<float>(gamma) * static_cast<float>(sign);
  }
}

double max_violation(const std::vector<std::int64_t>& loads_E) {
  std::int64_t total = 0, most = 0;
  for (const std::int64_t l : loads_E) {
    total += l;
    most = std::max(most, l);
  }
  if (total == 0) return 0;
  const double mean = static_cast<double>(total) / static_cast<double>(loads_E.size());
  return (static_cast<double>(most) - mean) / mean;
}

}  // namespace hadal::train
