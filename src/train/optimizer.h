// AdamW over the model's parameters with f32 master weights (SPEC §6.1), and V3's gate-bias update (SPEC §2.3).
#pragma once

#include <string>
#include <vector>

#include "autograd/tape.h"
#include "model/causal_lm.h"

namespace hadal::train {

struct AdamWSettings {
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, decay = 0.1;
  DType moments = DType::f32;  // or bf16, as V3 keeps them: half the memory
};

// One trained parameter: an expert stack is one entry.
struct TrainedParameter {
  nn::Parameter parameter;
  Tensor master;  // f32; the model's own tensor if that is f32
  Tensor grad;    // f32; undefined: zero. Made by the backward, gone when step() has taken it
  Tensor m, v;
  bool decays = false;  // tensors of two or more dimensions; an expert's matrix is 2-D however stored
};

class Optimizer {
 public:
  // Masters start as copies of the model's weights; load() of a checkpoint replaces them.
  Optimizer(model::CausalLm& model, const AdamWSettings& settings);

  // Drops the gradients: those of the next Watch start from zero.
  void zero_grads();
  // Global norm over all gradients, which a Watch has made; per-tensor sums of squares are added in parameter order, in
  // double.
  double grad_norm(const kernels::Context& cx) const;
  // step: applied steps, this one included. Gradients are multiplied by grad_scale first, and each is freed
  // once it has been taken. Compute copies are renewed.
  void step(const kernels::Context& cx, double lr, double grad_scale, std::int64_t step);
  // Renews the model's compute copies from the masters.
  void refresh(const kernels::Context& cx);

  std::vector<TrainedParameter>& parameters() { return parameters_; }
  const std::vector<TrainedParameter>& parameters() const { return parameters_; }

 private:
  AdamWSettings settings_;
  std::vector<TrainedParameter> parameters_;
};

// Watches every trained parameter for the life of this object; at its end each has a gradient.
class Watch {
 public:
  Watch(autograd::Tape& tape, Optimizer& optimizer);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  Optimizer* optimizer_;
};

// b_i += gamma * sign(mean load - load_i), in f32; loads of the whole global batch.
void update_gate_bias(const Tensor& bias_E, const std::vector<std::int64_t>& loads_E, double gamma);

// (max load - mean load) / mean load; 0 for no tokens (SPEC §2.3).
double max_violation(const std::vector<std::int64_t>& loads_E);

}  // namespace hadal::train
