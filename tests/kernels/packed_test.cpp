// Packed weights and lists of products give the bits of Matmul on the weight as it was: every ISA, any number of
// threads, few rows and many, k across chunks, columns around the panels.
#include <cmath>

#include "checks.h"

namespace hadal::test {
namespace {

Buffer packed(const Buffer& w, i64 stack, i64 n, i64 k, DType dtype, int threads = 2) {
  Buffer p(stack * kernels::packed_elements(n, k, dtype), dtype);
  ThreadPool pool(threads);
  kernels::pack_weight(pool, stack, n, k, dtype, w.raw(), p.raw());
  EXPECT_TRUE(p.intact());
  return p;
}

struct Product {
  i64 m, n, k;
  DType ab, c;
  Buffer a, b, bias;
  Product(i64 m_, i64 n_, i64 k_, DType ab_, DType c_)
      : m(m_),
        n(n_),
        k(k_),
        ab(ab_),
        c(c_),
        a(Buffer::random(m * k, ab, 1)),
        b(Buffer::random(n * k, ab, 2)),
        bias(Buffer::random(n, DType::f32, 3)) {}
  kernels::Matmul params(i64 first, i64 rows, const Buffer& w, bool is_packed, Buffer& out) const {
    return {.m = rows,
            .n = n,
            .k = k,
            .a = a.at(first * k),
            .lda = k,
            .b = w.raw(),
            .ldb = k,
            .b_packed = is_packed,
            .c = out.raw(),
            .ldc = n,
            .ab = ab,
            .c_dtype = c,
            .bias = bias.data()};
  }
  Outputs run(const Context& cx, i64 first, i64 rows, const Buffer& w, bool is_packed) const {
    Outputs out{Buffer(rows * n, c)};
    kernels::run(cx, params(first, rows, w, is_packed, out[0]));
    return out;
  }
};

void check(i64 m, i64 n, i64 k) {
  for (const DType ab : kActs) {
    for (const DType c : kActs) {
      const Product p(m, n, k, ab, c);
      const std::string what = fmt::format("{} x {} x {} {} to {}", m, n, k, name_of(ab), name_of(c));
      const Buffer w = packed(p.b, 1, n, k, ab);
      const Outputs out = expect_rows_equal(
          what, m, [&](const Context& cx, i64 first, i64 rows) { return p.run(cx, first, rows, w, true); });
      ThreadPool one(1);
      expect_same(p.run(Context(one, kernels::Isa::ref), 0, m, p.b, false), out, what + " as it was");
    }
  }
}

TEST(Packed, RowsOfEveryCount) {
  for (const i64 m : {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 16, 17, 40, 100}) check(m, 150, 61);
}

TEST(Packed, ColumnsOfEveryCount) {
  for (const i64 n : {1, 15, 16, 17, 31, 33, 47, 48, 63, 64, 65, 95, 96, 127, 128, 129, 700}) {
    for (const i64 m : {1, 3, 20}) check(m, n, 37);
  }
}

TEST(Packed, SumsAcrossChunks) {
  for (const i64 k : {1, 2, 511, 512, 513, 1023, 1024, 1025, 1537, 2049, 3100}) {
    for (const i64 m : {1, 7, 20}) check(m, 35, k);
  }
}

TEST(Packed, NoElementsIsAddingZero) { check(3, 70, 0); }

TEST(Packed, DoesNotDependOnThreads) {
  const Buffer w = Buffer::random(3 * 130 * 77, DType::bf16, 4);
  EXPECT_TRUE(packed(w, 3, 130, 77, DType::bf16, 1).same_bits(packed(w, 3, 130, 77, DType::bf16, 5)));
}

TEST(Packed, GroupsEqualThoseOfTheWeightAsItWas) {
  const i64 groups = 4, n = 90, k = 75;
  for (const std::vector<i32>& offsets :
       {std::vector<i32>{0, 1, 1, 3, 16}, std::vector<i32>{0, 40, 41, 41, 150}, std::vector<i32>{0, 0, 0, 0, 16}}) {
    for (const DType ab : kActs) {
      const i64 rows = offsets.back();
      const Buffer a = Buffer::random(rows * k, ab, 5), b = Buffer::random(groups * n * k, ab, 6);
      const auto run = [&](const Context& cx, const Buffer& w, bool is_packed) {
        Outputs out{Buffer(rows * n, ab)};
        kernels::run(cx, kernels::GroupedMatmul{.groups = groups,
                                                .n = n,
                                                .k = k,
                                                .offsets = offsets.data(),
                                                .a = a.raw(),
                                                .lda = k,
                                                .b = w.raw(),
                                                .b_packed = is_packed,
                                                .c = out[0].raw(),
                                                .ldc = n,
                                                .ab = ab,
                                                .c_dtype = ab});
        return out;
      };
      const Buffer w = packed(b, groups, n, k, ab);
      const std::string what = fmt::format("{} rows {}", rows, name_of(ab));
      const Outputs out = expect_equal_everywhere(what, [&](const Context& cx) { return run(cx, w, true); });
      ThreadPool one(1);
      expect_same(run(Context(one, kernels::default_isa()), b, false), out, what + " as it was");
    }
  }
}

void multiply(const Context& cx, const std::vector<kernels::Matmul>& list, bool as_list) {
  if (as_list) {
    kernels::run(cx, kernels::Matmuls{list.data(), static_cast<i64>(list.size())});
  } else {
    for (const kernels::Matmul& p : list) kernels::run(cx, p);
  }
}

// Packed and plain weights, both dtypes, rows across k, few rows and many, rows that two products share.
TEST(Matmuls, EqualEachAlone) {
  std::vector<Product> all;
  for (const i64 m : {1, 8, 13}) {
    for (const DType ab : kActs) {
      all.emplace_back(m, 200, 90, ab, DType::f32);
      all.emplace_back(m, 64, 513, ab, ab);
      all.emplace_back(m, 33, 64, ab, ab);
    }
  }
  for (const i64 more : {0, 30}) {
    if (more > 0) all.emplace_back(more, 70, 50, DType::bf16, DType::bf16);
    const auto run = [&](const Context& cx, bool as_list) {
      Outputs out;
      std::vector<Buffer> weights;
      std::vector<kernels::Matmul> list;
      for (const Product& p : all) {
        weights.push_back(packed(p.b, 1, p.n, p.k, p.ab));
        for (int i = 0; i < 3; ++i) out.emplace_back(p.m * p.n, p.c);
      }
      for (std::size_t i = 0; i < all.size(); ++i) {
        list.push_back(all[i].params(0, all[i].m, weights[i], true, out[3 * i]));
        list.push_back(all[i].params(0, all[i].m, all[i].b, false, out[3 * i + 1]));
        // The same memory seen as (k, n).
        list.push_back(all[i].params(0, all[i].m, all[i].b, false, out[3 * i + 2]));
        list.back().b_transposed = false;
        list.back().ldb = all[i].n;
      }
      multiply(cx, list, as_list);
      return out;
    };
    const Outputs listed = expect_equal_everywhere("list", [&](const Context& cx) { return run(cx, true); });
    ThreadPool one(1);
    expect_same(run(Context(one, kernels::default_isa()), false), listed, "each alone");
  }
}

// Strands of several weights at one time: rows of their own, one k or another, columns that make no strand between.
TEST(Matmuls, OneRowOfManyWeightsEqualsEachAlone) {
  std::vector<Product> all;
  for (const DType ab : kActs) {
    for (const i64 n : {64, 256, 40, 96, 16, 32, 330}) all.emplace_back(1, n, 700, ab, ab);
    for (const i64 n : {512, 64}) all.emplace_back(1, n, 96, ab, DType::f32);
    all.emplace_back(2, 128, 96, ab, ab);
    all.emplace_back(1, 128, 96, ab, ab);
  }
  const auto run = [&](const Context& cx, bool as_list) {
    Outputs out;
    std::vector<Buffer> weights;
    std::vector<kernels::Matmul> list;
    for (const Product& p : all) {
      weights.push_back(packed(p.b, 1, p.n, p.k, p.ab));
      out.emplace_back(p.m * p.n, p.c);
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      list.push_back(all[i].params(0, all[i].m, weights[i], true, out[i]));
      if (i % 7 == 3) list.back().a = list[i - 1].a;  // two that share their row; k is the same
    }
    multiply(cx, list, as_list);
    return out;
  };
  const Outputs listed = expect_equal_everywhere("list", [&](const Context& cx) { return run(cx, true); });
  ThreadPool one(1);
  expect_same(run(Context(one, kernels::Isa::ref), false), listed, "each alone");
}

}  // namespace
}  // namespace hadal::test
