// Where a tensor of a reference file stands in the order of computation, and how the place is named.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "verify/replay.h"

namespace hadal::verify {

// Lower comes first: the trunk's layers and ops, logits, MTP modules, other forwards, losses, gradients as the backward
// makes them (head, MTP modules, final norm, layers from the last to the first, embedding; within a layer from its end
// to its input), optimizer steps by step, and final tensors, the one furthest off first, since all come at once.
// layers: of the trunk; those from there on are MTP modules.
using Place = std::array<double, 3>;
Place place(const Row& row, std::int64_t layers);

// "layer 1, gate_weights", "MTP module 1, experts", "steps.losses, from step 2", or the tensor's name.
std::string describe(const Row& row, std::int64_t layers);

}  // namespace hadal::verify
