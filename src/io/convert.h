// Element types of stored weights, converted.
#pragma once

#include <string_view>

#include "tensor/tensor.h"

namespace hadal::io {

// Writes `from` (f32, bf16, f16 or f64) into `to` (f32 or bf16, same number of elements), rounding to nearest even.
// `what` is named in the Error about any other type.
void convert_into(const Tensor& from, const Tensor& to, std::string_view what);

// The same values in another type; `from` itself if it has that type already.
Tensor converted(const Tensor& from, DType to, std::string_view what);

}  // namespace hadal::io
