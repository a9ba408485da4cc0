// Kernels that compute nothing, for a walk over the code that counts (tensor/sizes_only.h): they ask for the scratch
// that the fast kernels of an ISA ask for, and a gate chooses every expert equally often. Pointers to floating-point
// numbers are neither read nor written.
#pragma once

#include "kernels/context.h"

namespace hadal::kernels {

const Table& dry_table();

}  // namespace hadal::kernels
