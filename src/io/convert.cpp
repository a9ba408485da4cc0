#include "io/convert.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace hadal::io {

namespace {

float f16_value(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  const std::uint32_t sign = std::uint32_t{bits & 0x8000u} << 16;
  if (exponent == 0) {  // subnormals count in units of 2^-24
    const auto v = std::bit_cast<std::uint32_t>(std::ldexp(static_cast<float>(mantissa), -24));
    return std::bit_cast<float>(sign | v);
  }
  const std::uint32_t wide = exponent == 31 ? 255u : static_cast<std::uint32_t>(exponent - 15 + 127);
  return std::bit_cast<float>(sign | (wide << 23) | (static_cast<std::uint32_t>(mantissa) << 13));
}

template <class To, class From, class Value>
void each(const From* from, const Tensor& to, const Value& value) {
  To* out = to.data<To>();
  const std::int64_t n = to.numel();
  for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<To>(value(from[i]));
}

template <class To>
void convert_to(const Tensor& from, const Tensor& to, std::string_view what) {
  switch (from.dtype()) {
    case DType::f32:
      return each<To>(from.data<float>(), to, [](float v) { return v; });
    case DType::bf16:
      return each<To>(from.data<bf16>(), to, [](bf16 v) { return static_cast<float>(v); });
    case DType::f16:
      return each<To>(static_cast<const std::uint16_t*>(from.raw()), to, f16_value);
    case DType::f64:
      return each<To>(from.data<double>(), to, [](double v) { return static_cast<float>(v); });
    default:
      fail("{}: weights of type {} are not supported: f32, bf16, f16 and f64 are", what, name_of(from.dtype()));
  }
}

}  // namespace

void convert_into(const Tensor& from, const Tensor& to, std::string_view what) {
  HADAL_ASSERT(from.numel() == to.numel());
  if (from.dtype() == to.dtype()) {
    if (to.bytes() > 0) std::memcpy(to.raw(), from.raw(), to.bytes());
  } else if (to.dtype() == DType::f32) {
    convert_to<float>(from, to, what);
  } else {
    HADAL_ASSERT(to.dtype() == DType::bf16);
    convert_to<bf16>(from, to, what);
  }
}

Tensor converted(const Tensor& from, DType to, std::string_view what) {
  if (from.dtype() == to) return from;
  Tensor result = Tensor::empty(from.shape(), to);
  convert_into(from, result, what);
  return result;
}

}  // namespace hadal::io
