// Products of fp8 training: ref's bits on every ISA, near the sums in double of the dequantised operands, promoted
// every 128 of k; a row alone equals the row among others.
#include <algorithm>
#include <cmath>

#include "checks.h"
#include "fp8_numbers.h"

namespace hadal::test {
namespace {

using kernels::fp8_tiles;
using kernels::kFp8Tile;

// Random E4M3 numbers; scales about 1, of very different sizes.
Buffer numbers(i64 n, std::uint64_t seed) {
  Buffer b = Buffer::random(n, DType::bf16, seed, 60);
  for (i64 i = 0; i < n; ++i) b.set(i, nearest(e4m3_sizes(), b.get(i)));
  return b;
}
Buffer scales(i64 n, std::uint64_t seed) {
  Buffer b = Buffer::random(n, DType::f32, seed);
  for (i64 i = 0; i < n; ++i) b.set(i, std::exp2(b.get(i)));
  return b;
}

// k + 2 roundings within the chunk and after it, on the sum of sizes; the store's.
double bound(i64 k, double sizes, double sum, DType c) {
  const auto roundings = static_cast<double>(std::min(k, kFp8Tile) + 2 * fp8_tiles(k) + 3);
  return roundings * 0x1p-24 * sizes + (c == DType::bf16 ? 0x1p-8 : 0x1p-24) * std::abs(sum);
}

struct Product {
  std::vector<i32> offsets;
  i64 n, k;
  bool w_transposed;
  DType c;
  bool bias;
  i64 groups = static_cast<i64>(offsets.size()) - 1, rows = offsets.back();
  i64 chunks = fp8_tiles(k), blocks = fp8_tiles(n);
  Buffer a = numbers(rows * k, 1), w = numbers(groups * n * k, 2), a_scales = scales(rows * chunks, 3),
         w_scales = scales(groups * chunks * blocks, 4), b = Buffer::random(n, DType::f32, 5);

  Outputs run(const Context& cx, const std::vector<i32>& parts, i64 first) const {
    Outputs out{Buffer(parts.back() * n, c)};
    kernels::run(cx, kernels::Fp8Matmul{.groups = groups,
                                        .n = n,
                                        .k = k,
                                        .offsets = parts.data(),
                                        .a = a.data<bf16>() + first * k,
                                        .a_scales = a_scales.data() + first * chunks,
                                        .w = w.data<bf16>(),
                                        .w_scales = w_scales.data(),
                                        .w_transposed = w_transposed,
                                        .c = out[0].raw(),
                                        .c_dtype = c,
                                        .bias = bias ? b.data() : nullptr});
    return out;
  }
  // Dequantised: element i of row r, and of column j of group g.
  double a_at(i64 r, i64 i) const { return a.get(r * k + i) * a_scales.get(r * chunks + i / kFp8Tile); }
  double w_at(i64 g, i64 i, i64 j) const {
    const i64 row = w_transposed ? j : i, column = w_transposed ? i : j, wide = w_transposed ? k : n;
    const i64 across = fp8_tiles(wide), down = chunks * blocks / across;
    return w.get((g * (n * k / wide) + row) * wide + column) *
           w_scales.get((g * down + row / kFp8Tile) * across + column / kFp8Tile);
  }
};

void check(const Product& p) {
  const std::string what = fmt::format("{} rows {} x {} {} {}", p.rows, p.n, p.k, p.w_transposed, name_of(p.c));
  SCOPED_TRACE(what);
  const Outputs out = expect_equal_everywhere(what, [&](const Context& cx) { return p.run(cx, p.offsets, 0); });
  for (i64 g = 0; g < p.groups; ++g) {
    const auto at = static_cast<std::size_t>(g);
    for (i64 r = p.offsets[at]; r < p.offsets[at + 1]; ++r) {
      for (i64 j = 0; j < p.n; ++j) {
        double sum = p.bias ? p.b.get(j) : 0, sizes = std::abs(sum);
        for (i64 i = 0; i < p.k; ++i) {
          const double v = p.a_at(r, i) * p.w_at(g, i, j);
          sum += v;
          sizes += std::abs(v);
        }
        ASSERT_NEAR(out[0].get(r * p.n + j), sum, bound(p.k, sizes, sum, p.c)) << "row " << r << " column " << j;
      }
    }
    // The last row of each group alone.
    if (p.offsets[at + 1] == p.offsets[at]) continue;
    const i64 last = p.offsets[at + 1] - 1;
    std::vector<i32> parts;
    for (i64 i = 0; i <= p.groups; ++i) parts.push_back(i > g ? 1 : 0);
    ThreadPool pool(1);
    for (const kernels::Isa isa : machine_isas()) {
      expect_same(p.run(Context(pool, isa), parts, last), {out[0].slice(last * p.n, p.n)}, what + ", a row alone");
    }
  }
}

TEST(Fp8Matmul, IsNearTheSumsOfDequantisedOperands) {
  for (const i64 k : {1, 2, 61, 127, 128, 129, 257, 384}) {
    for (const bool w_transposed : {true, false}) {
      check({{0, 5}, 37, k, w_transposed, DType::f32, false});
      check({{0, 1}, 129, k, w_transposed, DType::bf16, false});
    }
  }
  for (const i64 n : {1, 16, 17, 63, 64, 65, 127, 128, 257}) {
    for (const bool w_transposed : {true, false}) check({{0, 7}, n, 131, w_transposed, DType::f32, n % 2 == 0});
  }
}

TEST(Fp8Matmul, GroupsOfEverySize) {
  for (const bool w_transposed : {true, false}) {
    check({{0, 3, 3, 20, 21, 40}, 35, 200, w_transposed, DType::f32, false});
    check({{0, 0, 97, 97, 194, 390}, 19, 129, w_transposed, DType::bf16, false});
    check({{0, 0, 0}, 19, 129, w_transposed, DType::f32, false});
  }
}

TEST(Fp8Matmul, SumsArePromotedEvery128) {
  // One chunk's sum is 128 * 448², where a float's last bit is worth 2: ones added to it one by one would be lost.
  const i64 k = 2 * kFp8Tile;
  Buffer a(k, DType::bf16), one_scale(2), w_scale(2);
  for (i64 i = 0; i < k; ++i) a.set(i, i < kFp8Tile ? 448 : 1);
  one_scale.set(0, 1);
  one_scale.set(1, 1);
  w_scale.set(0, 1);
  w_scale.set(1, 1);
  const std::vector<i32> offsets = {0, 1};
  const auto product = [&](const Context& cx) {
    Outputs out{Buffer(1)};
    kernels::run(cx, kernels::Fp8Matmul{.groups = 1,
                                        .n = 1,
                                        .k = k,
                                        .offsets = offsets.data(),
                                        .a = a.data<bf16>(),
                                        .a_scales = one_scale.data(),
                                        .w = a.data<bf16>(),
                                        .w_scales = w_scale.data(),
                                        .c = out[0].raw()});
    return out;
  };
  constexpr double kChunk = 128.0 * 448 * 448;
  EXPECT_EQ(expect_equal_everywhere("two chunks", product)[0].get(0), kChunk + 128);
  float chain = 0;
  for (i64 i = 0; i < k; ++i) chain = std::fma(static_cast<float>(a.get(i)), static_cast<float>(a.get(i)), chain);
  EXPECT_EQ(chain, kChunk) << "without promotion the ones are lost: else this test sees nothing";
  // Each chunk has its own scales.
  one_scale.set(1, 0.25);
  w_scale.set(0, 4);
  EXPECT_EQ(expect_equal_everywhere("two scales", product)[0].get(0), 4 * kChunk + 32);
}

struct Gradient {
  std::vector<i32> offsets;
  i64 n, k;
  bool accumulate;
  i64 groups = static_cast<i64>(offsets.size()) - 1, rows = offsets.back();
  i64 tiles = kernels::fp8_column_tiles(groups, offsets.data());
  Buffer dy = numbers(rows * n, 1), x = numbers(rows * k, 2), dy_scales = scales(tiles * n, 3),
         x_scales = scales(tiles * k, 4), before = Buffer::random(groups * n * k, DType::f32, 5);
};

void check(const Gradient& p) {
  const std::string what = fmt::format("gradient {} rows {} x {} {}", p.rows, p.n, p.k, p.accumulate);
  SCOPED_TRACE(what);
  const Outputs out = expect_equal_everywhere(what, [&](const Context& cx) {
    Outputs o{p.before.slice(0, p.before.size())};
    kernels::run(cx, kernels::Fp8WeightGrad{.groups = p.groups,
                                            .n = p.n,
                                            .k = p.k,
                                            .offsets = p.offsets.data(),
                                            .dy = p.dy.data<bf16>(),
                                            .dy_scales = p.dy_scales.data(),
                                            .x = p.x.data<bf16>(),
                                            .x_scales = p.x_scales.data(),
                                            .dw = o[0].data(),
                                            .accumulate = p.accumulate});
    return o;
  });
  i64 tile = 0;
  for (std::size_t g = 0; g + 1 < p.offsets.size(); ++g) {
    const i64 first = p.offsets[g], rows = p.offsets[g + 1] - first;
    for (i64 at = 0; at < p.n * p.k; ++at) {
      const i64 n = at / p.k, k = at % p.k, i = static_cast<i64>(g) * p.n * p.k + at;
      double sum = p.accumulate ? p.before.get(i) : 0, sizes = std::abs(sum);
      for (i64 r = 0; r < rows; ++r) {
        const i64 t = tile + r / kFp8Tile;
        const double v = p.dy.get((first + r) * p.n + n) * p.dy_scales.get(t * p.n + n) *
                         p.x.get((first + r) * p.k + k) * p.x_scales.get(t * p.k + k);
        sum += v;
        sizes += std::abs(v);
      }
      ASSERT_NEAR(out[0].get(i), sum, bound(rows, sizes, sum, DType::f32)) << "group " << g << " " << n << ", " << k;
    }
    tile += fp8_tiles(rows);
  }
}

TEST(Fp8WeightGrad, IsNearTheSumsOfDequantisedOperands) {
  for (const bool accumulate : {false, true}) {
    for (const i32 rows : {1, 2, 61, 127, 128, 129, 300}) check(Gradient{{0, rows}, 17, 37, accumulate});
    for (const i64 n : {1, 63, 64, 65, 129}) check(Gradient{{0, 131}, n, 130 - n, accumulate});
    check(Gradient{{0, 3, 3, 140, 268, 270}, 35, 65, accumulate});
  }
}

}  // namespace
}  // namespace hadal::test
