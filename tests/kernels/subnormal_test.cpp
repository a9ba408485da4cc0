// Products of bf16 take subnormals as zero and make none, to the same bits on every ISA; f32 keeps them, and so does
// what stands around the products: a bias, what is added to, what a host has set.
#include <immintrin.h>

#include <cmath>
#include <limits>

#include "attention_problem.h"
#include "checks.h"
#include "kernels/flush.h"

namespace hadal::test {
namespace {

constexpr float kLeast = std::numeric_limits<float>::min();

// Subnormals, numbers whose products are, numbers whose sums nearly cancel, and ordinary ones.
float adversarial(std::mt19937_64& engine) {
  const auto pick = [&](int n) { return static_cast<int>(engine() % static_cast<unsigned>(n)); };
  const float mantissa = static_cast<float>(128 + pick(128)) / 128, sign = pick(2) == 0 ? 1.0f : -1.0f;
  switch (pick(8)) {
    case 0:
      return sign * std::ldexp(mantissa, -127 - pick(7));
    case 1:
      return sign * std::ldexp(mantissa, -126 + pick(3));
    case 2:
      return sign * std::ldexp(mantissa, -pick(12));
    case 3:
      return sign * 0.0f;
    default:
      return sign * std::ldexp(mantissa, -61 - pick(6));
  }
}

Buffer adversarial(i64 n, DType dtype, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  Buffer b(n, dtype);
  for (i64 i = 0; i < n; ++i) b.set(i, adversarial(engine));
  return b;
}

i64 subnormals(const Buffer& b) {
  i64 n = 0;
  for (i64 i = 0; i < b.size(); ++i) n += b.get(i) != 0 && std::abs(b.get(i)) < kLeast ? 1 : 0;
  return n;
}
Buffer widened(const Buffer& b) {
  Buffer wide(b.size());
  for (i64 i = 0; i < b.size(); ++i) wide.set(i, b.get(i));
  return wide;
}

struct Product {
  i64 m, n, k;
  DType ab = DType::bf16;
  bool a_transposed = false, b_transposed = true, packed = false;
  i64 chunk = 0;

  Outputs run(const Context& cx, const Buffer& a, const Buffer& b, const float* bias = nullptr,
              const Buffer* c = nullptr) const {
    Outputs out{c != nullptr ? *c : Buffer(m * n)};
    kernels::run(cx, kernels::Matmul{.m = m,
                                     .n = n,
                                     .k = k,
                                     .a = a.raw(),
                                     .lda = a_transposed ? m : k,
                                     .a_transposed = a_transposed,
                                     .b = b.raw(),
                                     .ldb = b_transposed ? k : n,
                                     .b_transposed = b_transposed,
                                     .b_packed = packed,
                                     .c = out[0].raw(),
                                     .ldc = n,
                                     .ab = ab,
                                     .bias = bias,
                                     .accumulate = c != nullptr,
                                     .chunk = chunk});
    return out;
  }
};

TEST(Subnormals, ProductsOfBf16TakeThemAsZeroOnEveryIsa) {
  i64 kept = 0;
  std::uint64_t seed = 1;
  for (const i64 m : {1, 3, 5, 8, 40}) {
    for (const i64 k : {1, 2, 61, 512, 1025, 2100}) {
      for (const int layout : {0, 1, 2, 3}) {
        Product p{.m = m, .n = 70, .k = k};
        p.a_transposed = layout == 3;
        p.b_transposed = layout < 2;
        p.packed = layout == 1;
        if (layout == 3) p.chunk = kernels::kWeightGradChunk;
        const Buffer a = adversarial(m * k, p.ab, ++seed);
        Buffer b = adversarial(p.n * k, p.ab, ++seed);
        Product f32 = p;
        f32.ab = DType::f32;
        f32.packed = false;
        ThreadPool one(1);
        kept += subnormals(f32.run(Context(one, kernels::Isa::ref), widened(a), widened(b))[0]);
        if (p.packed) {
          Buffer packed(kernels::packed_elements(p.n, k, p.ab), p.ab);
          kernels::pack_weight(one, 1, p.n, k, p.ab, b.raw(), packed.raw());
          b = packed;
        }
        const Outputs out = expect_equal_everywhere(fmt::format("{} x {} layout {}", m, k, layout),
                                                    [&](const Context& cx) { return p.run(cx, a, b); });
        EXPECT_EQ(subnormals(out[0]), 0);
      }
    }
  }
  EXPECT_GT(kept, 100);  // with the same operands f32 has them: the test's numbers are what they should be
}

TEST(Subnormals, WhatIsAddedToAProductKeepsItsOwn) {
  const Buffer a = adversarial(9 * 33, DType::bf16, 1), b = adversarial(20 * 33, DType::bf16, 2);
  Buffer tiny(9 * 20), bias(20);
  for (i64 i = 0; i < tiny.size(); ++i) tiny.set(i, kLeast / 4);
  for (i64 i = 0; i < bias.size(); ++i) bias.set(i, kLeast / 8);
  const Product p{.m = 9, .n = 20, .k = 33};
  const Outputs sums =
      expect_equal_everywhere("added to", [&](const Context& cx) { return p.run(cx, a, b, bias.data(), &tiny); });
  Buffer zeros(9 * 33, DType::bf16);
  const Outputs alone =
      expect_equal_everywhere("zeros", [&](const Context& cx) { return p.run(cx, zeros, b, bias.data(), &tiny); });
  for (i64 i = 0; i < alone[0].size(); ++i) ASSERT_EQ(alone[0].get(i), kLeast / 4 + kLeast / 8);
}

TEST(Subnormals, ExpertsAndTheirGradients) {
  const std::vector<i32> offsets{0, 5, 5, 46, 47};
  const i64 n = 33, k = 29, rows = 47;
  const Buffer x = adversarial(rows * k, DType::bf16, 1), w = adversarial(4 * n * k, DType::bf16, 2),
               dy = adversarial(rows * n, DType::bf16, 3);
  const auto out = [&](const Context& cx) {
    Outputs all{Buffer(rows * n), Buffer(4 * n * k)};
    kernels::run(cx, kernels::GroupedMatmul{.groups = 4,
                                            .n = n,
                                            .k = k,
                                            .offsets = offsets.data(),
                                            .a = x.raw(),
                                            .lda = k,
                                            .b = w.raw(),
                                            .b_transposed = true,
                                            .c = all[0].raw(),
                                            .ldc = n,
                                            .ab = DType::bf16,
                                            .c_dtype = DType::f32});
    kernels::run(cx, kernels::GroupedWeightGrad{.groups = 4,
                                                .n = n,
                                                .k = k,
                                                .offsets = offsets.data(),
                                                .dy = dy.raw(),
                                                .x = x.raw(),
                                                .dw = all[1].data(),
                                                .ab = DType::bf16,
                                                .accumulate = false});
    return all;
  };
  for (const Buffer& b : expect_equal_everywhere("experts", out)) EXPECT_EQ(subnormals(b), 0);
}

TEST(Subnormals, AttentionAndItsGradients) {
  for (const AttentionShape& shape : {AttentionShape{2, 2, 24, 8, 20}, AttentionShape{4, 1, 40, 0, 32}}) {
    for (const std::vector<i64>& lengths : {std::vector<i64>{1, 70, 9}, std::vector<i64>{600}}) {
      AttentionProblem<bf16> p(shape, lengths, 5);
      std::mt19937_64 engine(7);
      // Scores of every size, values and gradients whose products with small probabilities are subnormal.
      for (Guarded<bf16>* t : {&p.q, &p.kv, &p.k2, &p.d_out}) {
        for (i64 i = 0; i < t->size(); ++i)
          (*t)[i] = bf16(engine() % 3 == 0 ? static_cast<float>((*t)[i]) * 8 : adversarial(engine));
      }
      ThreadPool one(1), three(3);
      const Context ref(one, kernels::Isa::ref);
      const ForwardResult<bf16> expected = forward(ref, p);
      const BackwardResult<bf16> gradients = backward(ref, p, expected);
      for (const kernels::Isa isa : machine_isas()) {
        const Context cx(three, isa);
        SCOPED_TRACE(fmt::format("{} {} rows on {}", shape.name(), p.rows, name_of(isa)));
        EXPECT_TRUE(forward(cx, p) == expected);
        EXPECT_TRUE(backward(cx, p, expected) == gradients);
      }
    }
  }
}

// A host may have set FTZ and DAZ for itself: f32 keeps its subnormals in spite of it, and the host's setting stays.
TEST(Subnormals, WhatAHostHasSetChangesNothing) {
  const Product p{.m = 40, .n = 70, .k = 2, .ab = DType::f32};
  const Buffer a = adversarial(p.m * p.k, p.ab, 1), b = adversarial(p.n * p.k, p.ab, 2);
  ThreadPool before(2);
  const Outputs expected = p.run(Context(before, kernels::Isa::ref), a, b);
  ASSERT_GT(subnormals(expected[0]), 0);
  const kernels::FloatMode host(kernels::kDefaultMode | kernels::kFlush);
  for (const kernels::Isa isa : machine_isas()) {
    ThreadPool pool(3);  // its threads are made under the host's setting
    for (int i = 0; i < 20; ++i) expect_same(p.run(Context(pool, isa), a, b), expected, std::string(name_of(isa)));
    EXPECT_EQ(_mm_getcsr() & kernels::kFlush, kernels::kFlush);
  }
}

}  // namespace
}  // namespace hadal::test
