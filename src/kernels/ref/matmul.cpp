// Reference matmuls: the definition of the dot product contract.
#include "kernels/ref/scalar.h"

namespace hadal::kernels::ref {

namespace {

// B(k, n)
float element_of_b(const Matmul& p, i64 k, i64 n) {
  if (!p.b_packed) return get(p.b, p.b_transposed ? n * p.ldb + k : k * p.ldb + n, p.ab);
  const i64 words = packed_words(p.k, p.ab);
  if (p.ab == DType::f32) return get(p.b, packed_place(p.n, words, n, k), p.ab);
  return get(p.b, 2 * packed_place(p.n, words, n, k / 2) + k % 2, p.ab);
}

}  // namespace

void matmul(const Context&, const Matmul& p) {
  const i64 chunk = p.chunk > 0 ? p.chunk : dot_chunk(p.k);
  for (i64 m = 0; m < p.m; ++m) {
    for (i64 n = 0; n < p.n; ++n) {
      const float acc = dot(
          p.k, chunk, p.ab == DType::bf16,
          [&](i64 k) { return get(p.a, p.a_transposed ? k * p.lda + m : m * p.lda + k, p.ab); },
          [&](i64 k) { return element_of_b(p, k, n); });
      const float value = p.bias != nullptr ? acc + p.bias[n] : acc;
      const i64 at = m * p.ldc + n;
      put(p.c, at, p.c_dtype, p.accumulate ? get(p.c, at, p.c_dtype) + value : value);
    }
  }
}

void matmuls(const Context& cx, const Matmuls& p) {
  for (i64 i = 0; i < p.count; ++i) matmul(cx, p.list[i]);
}

void grouped_matmul(const Context& cx, const GroupedMatmul& p) {
  const auto at = [](const void* base, i64 element, DType dtype) {
    return const_cast<char*>(static_cast<const char*>(base)) + element * static_cast<i64>(size_of(dtype));
  };
  for (i64 g = 0; g < p.groups; ++g) {
    const i64 first = p.offsets[g];
    matmul(cx, Matmul{.m = p.offsets[g + 1] - first,
                      .n = p.n,
                      .k = p.k,
                      .a = at(p.a, first * p.lda, p.ab),
                      .lda = p.lda,
                      .b = at(p.b, g * (p.b_packed ? packed_elements(p.n, p.k, p.ab) : p.n * p.k), p.ab),
                      .ldb = p.b_transposed ? p.k : p.n,
                      .b_transposed = p.b_transposed,
                      .b_packed = p.b_packed,
                      .c = at(p.c, first * p.ldc, p.c_dtype),
                      .ldc = p.ldc,
                      .ab = p.ab,
                      .c_dtype = p.c_dtype});
  }
}

void grouped_weight_grad(const Context& cx, const GroupedWeightGrad& p) {
  const auto row = [&](const void* base, i64 r, i64 width) {
    return static_cast<const char*>(base) + r * width * static_cast<i64>(size_of(p.ab));
  };
  for (i64 g = 0; g < p.groups; ++g) {
    const i64 first = p.offsets[g];
    if (p.accumulate && p.offsets[g + 1] == first) continue;
    matmul(cx, Matmul{.m = p.n,
                      .n = p.k,
                      .k = p.offsets[g + 1] - first,
                      .a = row(p.dy, first, p.n),
                      .lda = p.n,
                      .a_transposed = true,
                      .b = row(p.x, first, p.k),
                      .ldb = p.k,
                      .b_transposed = false,
                      .c = p.dw + g * p.n * p.k,
                      .ldc = p.k,
                      .ab = p.ab,
                      .accumulate = p.accumulate,
                      .chunk = kWeightGradChunk});
  }
}

}  // namespace hadal::kernels::ref
