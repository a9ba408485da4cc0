// Products with few rows of A: bound by reading B. One parallel region for the whole list.
#pragma once

#include <span>

#include "kernels/kernels.h"

namespace hadal::kernels::HADAL_ISA_NS {

// Every product has at most kFewRows rows. Element for element as Matmul says.
void few_rows(const Context& cx, std::span<const Matmul> list);

}  // namespace hadal::kernels::HADAL_ISA_NS
