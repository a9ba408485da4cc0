// Weights laid out for serving, and products that share one parallel region.
//
// A packed weight (n, k) lies in panels of 64 of its rows, the last panel narrower, a multiple of 16; rows that do not
// exist are zeros. In a panel a line holds one word of 32 bits of each row, rows rising; lines rise with k. A word is
// an element k of f32, or a pair (2j, 2j + 1) of bf16 with 2j in the low half; an element past k is 0. So a product
// with one row reads memory from end to end and multiplies what it loads, whatever the ISA. A stack (E, n, k) is E of
// them.
#pragma once

#include <cstdint>

#include "base/threads.h"
#include "tensor/dtype.h"

namespace hadal::kernels {

constexpr std::int64_t kPackedRows = 64;

// Words of one row, and elements that the packed weight takes.
constexpr std::int64_t packed_words(std::int64_t k, DType dtype) { return dtype == DType::bf16 ? (k + 1) / 2 : k; }
constexpr std::int64_t packed_elements(std::int64_t n, std::int64_t k, DType dtype) {
  return (n + 15) / 16 * 16 * packed_words(k, dtype) * (dtype == DType::bf16 ? 2 : 1);
}
// Where word (n, w) of a weight of `rows` rows lies, in words.
constexpr std::int64_t packed_place(std::int64_t rows, std::int64_t words, std::int64_t n, std::int64_t w) {
  const std::int64_t first = n / kPackedRows * kPackedRows, left = (rows - first + 15) / 16 * 16;
  return first * words + w * (left < kPackedRows ? left : kPackedRows) + n % kPackedRows;
}

// Packs w (stack, n, k), f32 or bf16, to packed_elements(n, k, dtype) elements for each of the stack.
void pack_weight(ThreadPool& pool, std::int64_t stack, std::int64_t n, std::int64_t k, DType dtype, const void* w,
                 void* to);

struct Matmul;

// Products that do not depend on each other, element for element as Matmul does each. With few rows they are one
// region, whose threads get equal shares of the operands b, in the order of the list.
struct Matmuls {
  const Matmul* list = nullptr;
  std::int64_t count = 0;
};
constexpr std::int64_t kFewRows = 16;  // products with more rows a list does one after the other

}  // namespace hadal::kernels
