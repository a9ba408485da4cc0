#include "tensor/dtype.h"

#include "base/error.h"

namespace hadal {

namespace {
struct Row {
  DType dtype;
  std::string_view name;
  std::size_t size;
};
constexpr Row kRows[] = {
    {DType::f32, "f32", 4}, {DType::bf16, "bf16", 2},       {DType::f16, "f16", 2},
    {DType::f64, "f64", 8}, {DType::i32, "i32", 4},         {DType::i64, "i64", 8},
    {DType::u8, "u8", 1},   {DType::f8_e4m3, "f8_e4m3", 1}, {DType::f8_e5m2, "f8_e5m2", 1},
};
}  // namespace

std::size_t size_of(DType dtype) { return kRows[static_cast<std::size_t>(dtype)].size; }
std::string_view name_of(DType dtype) { return kRows[static_cast<std::size_t>(dtype)].name; }

DType dtype_from_name(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.dtype;
  }
  fail("unknown dtype '{}': it must be one of f32, bf16, f16, f64, i32, i64, u8, f8_e4m3, f8_e5m2", name);
}

}  // namespace hadal
