// Dense and grouped matmuls are the dot product contract of kernels.h to the bit: every ISA, any number of threads,
// every layout, few rows and many, k across the chunks; and near the sums in double.
#include <algorithm>
#include <cmath>

#include "checks.h"

namespace hadal::test {
namespace {

struct Layout {
  bool a_transposed = false, b_transposed = true, accumulate = false, bias = false;
  DType c = DType::f32;
  i64 chunk = 0;
  std::string name() const {
    return fmt::format("{}{}{}{}{} chunk {}", a_transposed ? "aT " : "", b_transposed ? "bT " : "",
                       accumulate ? "accumulate " : "", bias ? "bias " : "", name_of(c), chunk);
  }
};

// Operands lie in rows that are longer than they need be; what lies between the rows is NaN.
struct Problem {
  i64 m, n, k;
  DType ab;
  Layout layout;
  i64 lda, ldb, ldc;
  Buffer a, b, c, bias;

  Problem(i64 m_, i64 n_, i64 k_, DType ab_, const Layout& l)
      : m(m_),
        n(n_),
        k(k_),
        ab(ab_),
        layout(l),
        lda((l.a_transposed ? m : k) + 3),
        ldb((l.b_transposed ? k : n) + 5),
        ldc(n + 2),
        a(operand(l.a_transposed ? k : m, l.a_transposed ? m : k, lda, 1)),
        b(operand(l.b_transposed ? n : k, l.b_transposed ? k : n, ldb, 2)),
        c(Buffer::random(m * ldc, l.c, 3)),
        bias(Buffer::random(n, DType::f32, 4)) {}

  Buffer operand(i64 rows, i64 width, i64 ld, std::uint64_t seed) const {
    Buffer x = Buffer::random(rows * ld, ab, seed);
    for (i64 r = 0; r < rows; ++r) {
      for (i64 i = width; i < ld; ++i) x.set(r * ld + i, std::nan(""));
    }
    return x;
  }
  // Rows [first, first + rows) of C, whose rows end in what was there before.
  Outputs run(const Context& cx, i64 first, i64 rows) const {
    Outputs out{c.slice(first * ldc, rows * ldc)};
    kernels::run(cx, kernels::Matmul{.m = rows,
                                     .n = n,
                                     .k = k,
                                     .a = a.at(layout.a_transposed ? first : first * lda),
                                     .lda = lda,
                                     .a_transposed = layout.a_transposed,
                                     .b = b.raw(),
                                     .ldb = ldb,
                                     .b_transposed = layout.b_transposed,
                                     .c = out[0].raw(),
                                     .ldc = ldc,
                                     .ab = ab,
                                     .c_dtype = layout.c,
                                     .bias = layout.bias ? bias.data() : nullptr,
                                     .accumulate = layout.accumulate,
                                     .chunk = layout.chunk});
    return out;
  }
  double a_at(i64 r, i64 i) const { return a.get(layout.a_transposed ? i * lda + r : r * lda + i); }
  double b_at(i64 i, i64 j) const { return b.get(layout.b_transposed ? j * ldb + i : i * ldb + j); }

  // k + 2 roundings of f32 on the sum of sizes, and the store's.
  void expect_near_the_sums(const Outputs& out) const {
    const double eps = 0x1p-24, store = layout.c == DType::bf16 ? 0x1p-8 : eps;
    for (const i64 r : {i64{0}, m / 2, m - 1}) {
      for (i64 j = 0; j < n; ++j) {
        double sum = layout.bias ? bias.get(j) : 0, sizes = std::abs(sum);
        if (layout.accumulate) {
          sum += c.get(r * ldc + j);
          sizes += std::abs(c.get(r * ldc + j));
        }
        for (i64 i = 0; i < k; ++i) {
          sum += a_at(r, i) * b_at(i, j);
          sizes += std::abs(a_at(r, i) * b_at(i, j));
        }
        const double bound = static_cast<double>(k + 2) * eps * sizes + store * std::abs(sum);
        ASSERT_NEAR(out[0].get(r * ldc + j), sum, bound) << "row " << r << " column " << j;
      }
    }
  }
};

void check(i64 m, i64 n, i64 k, const Layout& layout) {
  for (const DType ab : kActs) {
    const Problem p(m, n, k, ab, layout);
    const std::string what = fmt::format("{} x {} x {} {} {}", m, n, k, name_of(ab), layout.name());
    SCOPED_TRACE(what);
    p.expect_near_the_sums(
        expect_rows_equal(what, m, [&](const Context& cx, i64 first, i64 rows) { return p.run(cx, first, rows); }));
  }
}

const Layout kForward, kInput{.b_transposed = false},
    kWeight{.a_transposed = true, .b_transposed = false, .accumulate = true, .chunk = kernels::kWeightGradChunk};

TEST(Matmul, RowsOfEveryCount) {
  for (const i64 m : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 95, 96, 97, 200}) {
    check(m, 70, 61, kForward);
    check(m, 33, 40, kInput);
    check(m, 33, 40, kWeight);
  }
}

TEST(Matmul, ColumnsOfEveryCount) {
  for (const i64 n : kWidths) {
    for (const i64 m : {1, 6, 40}) {
      check(m, n, 37, kForward);
      check(m, n, 37, kInput);
      check(m, n, 37, kWeight);
    }
  }
}

// dot_chunk changes at 1024; odd lengths leave half a pair at the end of a chunk.
TEST(Matmul, SumsAcrossChunks) {
  for (const i64 k : {1, 2, 511, 512, 513, 1023, 1024, 1025, 1537, 2048, 2049, 3100}) {
    for (const i64 m : {1, 5, 20}) {
      check(m, 35, k, kForward);
      check(m, 19, k, kInput);
      check(m, 19, k, kWeight);
    }
  }
}

TEST(Matmul, NoElementsIsAddingZero) {
  check(5, 20, 0, kForward);
  check(40, 20, 0, kForward);
  check(40, 20, 0, kWeight);
}

TEST(Matmul, BiasRoundingAndAccumulation) {
  for (const i64 m : {3, 50}) {
    check(m, 45, 700, {.bias = true});
    check(m, 45, 700, {.c = DType::bf16});
    check(m, 45, 700, {.bias = true, .c = DType::bf16});
    check(m, 45, 700, {.accumulate = true, .bias = true});
    check(m, 45, 700, {.a_transposed = true});
    check(m, 45, 1500, {.b_transposed = false, .c = DType::bf16, .chunk = 512});
  }
}

// Rows of five experts; some get none.
const std::vector<std::vector<i32>> kOffsets = {{0, 3, 3, 10, 11, 29},
                                                {0, 0, 0, 0, 0, 0},
                                                {0, 1, 2, 3, 4, 5},
                                                {0, 0, 300, 300, 300, 317},
                                                {0, 97, 98, 98, 700, 1200}};

Buffer weights_of(i64 groups, i64 n, i64 k, DType ab) { return Buffer::random(groups * n * k, ab, 6); }

TEST(GroupedMatmul, EqualsTheDenseProductOfEachGroup) {
  for (const auto& offsets : kOffsets) {
    for (const DType ab : kActs) {
      for (const bool transposed : {true, false}) {
        const i64 groups = 5, n = 45, k = 70, rows = offsets.back(), lda = k + 1, ldc = n + 4;
        const Buffer a = Buffer::random(rows * lda, ab, 5), b = weights_of(groups, n, k, ab);
        const auto grouped = [&](const Context& cx) {
          Outputs out{Buffer(rows * ldc, ab)};
          kernels::run(cx, kernels::GroupedMatmul{.groups = groups,
                                                  .n = n,
                                                  .k = k,
                                                  .offsets = offsets.data(),
                                                  .a = a.raw(),
                                                  .lda = lda,
                                                  .b = b.raw(),
                                                  .b_transposed = transposed,
                                                  .c = out[0].raw(),
                                                  .ldc = ldc,
                                                  .ab = ab,
                                                  .c_dtype = ab});
          return out;
        };
        const std::string what = fmt::format("{} rows {} {}", rows, name_of(ab), transposed);
        const Outputs out = expect_equal_everywhere(what, grouped);
        ThreadPool one(1);
        const Context cx(one, kernels::default_isa());
        Outputs dense{Buffer(rows * ldc, ab)};
        for (i64 g = 0; g < groups; ++g) {
          const i64 first = offsets[static_cast<std::size_t>(g)];
          kernels::run(cx, kernels::Matmul{.m = offsets[static_cast<std::size_t>(g) + 1] - first,
                                           .n = n,
                                           .k = k,
                                           .a = a.at(first * lda),
                                           .lda = lda,
                                           .b = b.at(g * n * k),
                                           .ldb = transposed ? k : n,
                                           .b_transposed = transposed,
                                           .c = dense[0].at(first * ldc),
                                           .ldc = ldc,
                                           .ab = ab,
                                           .c_dtype = ab});
        }
        expect_same(out, dense, what + " dense");
      }
    }
  }
}

TEST(GroupedMatmul, SumsAcrossChunks) {
  const std::vector<i32> offsets = {0, 40, 41, 60};
  for (const i64 k : {513, 1025, 2100}) {
    for (const DType ab : kActs) {
      const Buffer a = Buffer::random(60 * k, ab, 5), b = weights_of(3, 20, k, ab);
      expect_equal_everywhere(fmt::format("k {} {}", k, name_of(ab)), [&](const Context& cx) {
        Outputs out{Buffer(60 * 20)};
        kernels::run(cx, kernels::GroupedMatmul{.groups = 3,
                                                .n = 20,
                                                .k = k,
                                                .offsets = offsets.data(),
                                                .a = a.raw(),
                                                .lda = k,
                                                .b = b.raw(),
                                                .c = out[0].raw(),
                                                .ldc = 20,
                                                .ab = ab});
        return out;
      });
    }
  }
}

// A group's chunks of rows are counted from its own first row: its sum is what it would be alone.
TEST(GroupedWeightGrad, EqualsTheDenseProductOfEachGroup) {
  for (const auto& offsets : kOffsets) {
    for (const DType ab : kActs) {
      for (const bool accumulate : {true, false}) {
        const i64 groups = 5, n = 70, k = 45, rows = offsets.back();
        const Buffer dy = Buffer::random(rows * n, ab, 7), x = Buffer::random(rows * k, ab, 8),
                     before = Buffer::random(groups * n * k, DType::f32, 9);
        const std::string what = fmt::format("{} rows {} {}", rows, name_of(ab), accumulate);
        const Outputs out = expect_equal_everywhere(what, [&](const Context& cx) {
          Outputs o{before};
          kernels::run(cx, kernels::GroupedWeightGrad{.groups = groups,
                                                      .n = n,
                                                      .k = k,
                                                      .offsets = offsets.data(),
                                                      .dy = dy.raw(),
                                                      .x = x.raw(),
                                                      .dw = o[0].data(),
                                                      .ab = ab,
                                                      .accumulate = accumulate});
          return o;
        });
        ThreadPool one(1);
        const Context cx(one, kernels::default_isa());
        Outputs dense{before};
        for (i64 g = 0; g < groups; ++g) {
          const i64 first = offsets[static_cast<std::size_t>(g)];
          if (accumulate && offsets[static_cast<std::size_t>(g) + 1] == first) continue;
          kernels::run(cx, kernels::Matmul{.m = n,
                                           .n = k,
                                           .k = offsets[static_cast<std::size_t>(g) + 1] - first,
                                           .a = dy.at(first * n),
                                           .lda = n,
                                           .a_transposed = true,
                                           .b = x.at(first * k),
                                           .ldb = k,
                                           .b_transposed = false,
                                           .c = dense[0].at(g * n * k),
                                           .ldc = k,
                                           .ab = ab,
                                           .accumulate = accumulate,
                                           .chunk = kernels::kWeightGradChunk});
        }
        expect_same(out, dense, what + " dense");
      }
    }
  }
}

}  // namespace
}  // namespace hadal::test
