// From a config to modules: the only place that maps config fields to the settings of nn/.
#pragma once

#include <vector>

#include "model/config.h"
#include "nn/block.h"
#include "nn/rope_table.h"

namespace hadal::model {

nn::RopeSettings rope_settings(const Config& config);
ops::RopeTable build_rope(const Config& config);
// Layer `index`; those from num_hidden_layers on are the blocks of MTP modules.
nn::Block build_block(const Config& config, std::int64_t index);
// Allocates every parameter of the blocks and modules with the shapes of the config; compute as CausalLm takes it.
void allocate(const Config& config, DType compute, std::vector<nn::Block>& blocks, std::vector<nn::MtpModule>& mtp);

// Every parameter of a model of this config, with its shape, without allocating anything: what accounting counts.
struct ParameterShape {
  nn::Parameter parameter;  // value is null
  Shape shape;
  bool mtp = false;  // belongs to an MTP module
};
std::vector<ParameterShape> layout(const Config& config);

}  // namespace hadal::model
