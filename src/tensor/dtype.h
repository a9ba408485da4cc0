// Element types of tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "base/types.h"

namespace hadal {

enum class DType : std::uint8_t { f32, bf16, f16, f64, i32, i64, u8, f8_e4m3, f8_e5m2 };

std::size_t size_of(DType dtype);
std::string_view name_of(DType dtype);
// Accepts our names ("f32", "bf16", ...); throws Error listing them otherwise.
DType dtype_from_name(std::string_view name);

template <class T>
struct dtype_of;
template <>
struct dtype_of<float> : std::integral_constant<DType, DType::f32> {};
template <>
struct dtype_of<double> : std::integral_constant<DType, DType::f64> {};
template <>
struct dtype_of<bf16> : std::integral_constant<DType, DType::bf16> {};
template <>
struct dtype_of<std::int32_t> : std::integral_constant<DType, DType::i32> {};
template <>
struct dtype_of<std::int64_t> : std::integral_constant<DType, DType::i64> {};
template <>
struct dtype_of<std::uint8_t> : std::integral_constant<DType, DType::u8> {};

}  // namespace hadal
