// Weights laid out for serving: a decoded token reads each of them once, from end to end.
#pragma once

#include "model/causal_lm.h"

namespace hadal::model {

// Packs the weights of linears and experts, the router and an untied head in place (kernels/packed.h), one parameter at
// a time. Results stay the same to the bit. The model can no longer be trained, saved or loaded into.
void pack_for_serving(const kernels::Context& cx, CausalLm& model);

}  // namespace hadal::model
