// How modules name their parameters: one visitor serves init, loading, saving, the optimizer and accounting.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "tensor/tensor.h"

namespace hadal::nn {

enum class ParameterKind : std::uint8_t {
  matrix,     // compute dtype; weight decay
  embedding,  // compute dtype; weight decay
  router,     // f32 always (SPEC §9.14); weight decay
  vector,     // norm gains and biases: f32 always, no decay
  gate_bias,  // e_score_correction_bias: f32 always, moved by the balance rule, no gradient
};

struct Parameter {
  std::string name;         // Hugging Face name; "{}" stands for the expert number of a stack
  Tensor* value = nullptr;  // an expert stack is (E, out, in) and holds E checkpoint tensors (out, in)
  ParameterKind kind = ParameterKind::matrix;
  bool stacked = false;
};

using Visitor = std::function<void(const Parameter&)>;

}  // namespace hadal::nn
