// The numbers of E4M3 against PyTorch's, and the quantisers of fp8 training against their definition, on every ISA.
#include <fstream>
#include <sstream>

#include "checks.h"
#include "fp8_numbers.h"

namespace hadal::test {
namespace {

using kernels::fp8_tiles;
using kernels::kFp8Tile;

float from_word(std::uint32_t w) { return std::bit_cast<float>(w); }

TEST(E4m3, EqualsPyTorchOnAllCodesAndAroundEveryTie) {
  std::ifstream file(std::string(HADAL_TEST_DATA) + "/quant/e4m3.txt");
  ASSERT_TRUE(file);
  int codes = 0, casts = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string kind;
    std::uint32_t a = 0, b = 0;
    words >> kind >> std::hex >> a >> b;
    if (kind == "code") {
      e4m3 q;
      q.bits = static_cast<std::uint8_t>(a);
      const float got = static_cast<float>(q), expected = from_word(b);
      EXPECT_TRUE(std::isnan(expected) ? std::isnan(got) : std::bit_cast<std::uint32_t>(got) == b) << line;
      EXPECT_EQ(std::signbit(got), a >= 128) << line;
      if (!std::isnan(expected)) {
        EXPECT_EQ(static_cast<std::uint32_t>(e4m3(expected).bits), a) << line;
      }
      ++codes;
    } else if (kind == "cast") {
      EXPECT_EQ(static_cast<std::uint32_t>(e4m3(from_word(a)).bits), b) << line;
      ++casts;
    }
  }
  EXPECT_EQ(codes, 256);
  EXPECT_EQ(casts, 1182);
}

TEST(E4m3, NanStaysNanAndTheRestSaturates) {
  EXPECT_EQ(e4m3(std::nanf("")).bits & 0x7f, 0x7f);
  EXPECT_EQ(e4m3(448.0f).bits, 0x7e);
  EXPECT_EQ(e4m3(-1e30f).bits, 0xfe);
  EXPECT_EQ(e4m3(std::numeric_limits<float>::infinity()).bits, 0x7e);
  EXPECT_EQ(e4m3(-0.0f).bits, 0x80);
}

const std::vector<i64> kFp8Widths = {1, 2, 7, 16, 17, 61, 127, 128, 129, 257, 389};

// Rows of very different sizes, one of them zero.
Buffer matrix(i64 rows, i64 k, DType dtype, std::uint64_t seed) {
  Buffer x = Buffer::random(rows * k, dtype, seed);
  for (i64 r = 0; r < rows; ++r) {
    for (i64 c = 0; c < k; ++c) x.set(r * k + c, r == 1 ? 0 : x.get(r * k + c) * std::exp2(7 * (r % 5) - 20));
  }
  return x;
}

double amax_of(const std::vector<double>& x) {
  double most = 0;
  for (const double v : x) most = std::max(most, std::abs(v));
  return most;
}

// A tile's numbers and scale are those of the definition. x: as the kernel sees it, in f32.
void expect_tile(const std::vector<double>& x, const std::vector<double>& q, double scale, bool power) {
  EXPECT_EQ(scale, expected_scale(amax_of(x), 448, power));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float ratio = static_cast<float>(x[i]) / static_cast<float>(scale);
    ASSERT_EQ(q[i], nearest(e4m3_sizes(), ratio)) << "x " << x[i] << " scale " << scale;
  }
}

Outputs quantise_rows(const Context& cx, const Buffer& x, i64 first, i64 rows, i64 k, bool power) {
  Outputs out{Buffer(rows * k, DType::bf16), Buffer(rows * fp8_tiles(k)), Buffer(rows * k)};
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(rows * k));
  kernels::run(cx, kernels::Fp8Rows{.rows = rows,
                                    .k = k,
                                    .x = x.at(first * k),
                                    .x_dtype = x.dtype(),
                                    .power = power,
                                    .values = out[0].data<bf16>(),
                                    .codes = codes.data(),
                                    .scales = out[1].data()});
  kernels::run(cx, kernels::Fp8Unpack{rows, k, codes.data(), out[1].data(), out[2].data()});
  return out;
}

TEST(Fp8, RowsAreTheNearestNumbersOfTheirTiles) {
  for (const i64 k : kFp8Widths) {
    for (const DType dtype : kActs) {
      for (const bool power : {false, true}) {
        SCOPED_TRACE(fmt::format("k {} {} {}", k, name_of(dtype), power));
        const i64 rows = 7, tiles = fp8_tiles(k);
        const Buffer x = matrix(rows, k, dtype, 3);
        const Outputs out = expect_rows_equal(
            fmt::format("fp8_rows {}", k), rows,
            [&](const Context& cx, i64 first, i64 n) { return quantise_rows(cx, x, first, n, k, power); });
        for (i64 r = 0; r < rows; ++r) {
          for (i64 t = 0; t < tiles; ++t) {
            std::vector<double> in, q;
            const double scale = out[1].get(r * tiles + t);
            for (i64 c = t * kFp8Tile; c < std::min(k, (t + 1) * kFp8Tile); ++c) {
              in.push_back(x.get(r * k + c));
              q.push_back(out[0].get(r * k + c));
              // The code is that of the number: unpacked, it is the number times the scale.
              EXPECT_EQ(out[2].get(r * k + c), static_cast<float>(q.back()) * static_cast<float>(scale));
            }
            expect_tile(in, q, scale, power);
          }
        }
      }
    }
  }
}

TEST(Fp8, ColumnsAreTilesOfTheirGroup) {
  const std::vector<i32> offsets = {0, 3, 3, 132, 260, 519};
  const i64 groups = 5, rows = offsets.back(), tiles = kernels::fp8_column_tiles(groups, offsets.data());
  EXPECT_EQ(tiles, 1 + 0 + 2 + 1 + 3);
  for (const i64 k : {1, 17, 61, 129, 257}) {
    for (const DType dtype : kActs) {
      for (const bool power : {false, true}) {
        for (const bool scaled : {false, true}) {
          SCOPED_TRACE(fmt::format("k {} {} {} {}", k, name_of(dtype), power, scaled));
          const Buffer x = matrix(rows, k, dtype, 4), s = Buffer::random(rows * fp8_tiles(k), DType::f32, 5, 0.1, 1);
          const Outputs out = expect_equal_everywhere("fp8_columns", [&](const Context& cx) {
            Outputs o{Buffer(rows * k, DType::bf16), Buffer(tiles * k)};
            kernels::run(cx, kernels::Fp8Columns{.groups = groups,
                                                 .k = k,
                                                 .offsets = offsets.data(),
                                                 .x = x.raw(),
                                                 .x_dtype = dtype,
                                                 .x_scales = scaled ? s.data() : nullptr,
                                                 .power = power,
                                                 .values = o[0].data<bf16>(),
                                                 .scales = o[1].data()});
            return o;
          });
          i64 tile = 0;
          for (std::size_t g = 0; g < 5; ++g) {
            for (i64 first = offsets[g]; first < offsets[g + 1]; first += kFp8Tile, ++tile) {
              for (i64 c = 0; c < k; ++c) {
                std::vector<double> in, q;
                for (i64 r = first; r < std::min<i64>(offsets[g + 1], first + kFp8Tile); ++r) {
                  const auto v = static_cast<float>(x.get(r * k + c));
                  in.push_back(scaled ? v * s.data()[r * fp8_tiles(k) + c / kFp8Tile] : v);
                  q.push_back(out[0].get(r * k + c));
                }
                expect_tile(in, q, out[1].get(tile * k + c), power);
              }
            }
          }
          EXPECT_EQ(tile, tiles);
        }
      }
    }
  }
}

TEST(Fp8, BlocksOfWeights) {
  const i64 groups = 2;
  for (const auto& [n, k] : {std::pair<i64, i64>{1, 1}, {127, 129}, {129, 128}, {61, 300}}) {
    for (const DType dtype : kActs) {
      SCOPED_TRACE(fmt::format("{} x {} {}", n, k, name_of(dtype)));
      const i64 down = fp8_tiles(n), across = fp8_tiles(k);
      const Buffer w = matrix(groups * n, k, dtype, 6);
      const Outputs out = expect_equal_everywhere("fp8_blocks", [&, n = n, k = k](const Context& cx) {
        Outputs o{Buffer(groups * n * k, DType::bf16), Buffer(groups * down * across)};
        kernels::run(cx, kernels::Fp8Blocks{groups, n, k, w.raw(), dtype, o[0].data<bf16>(), o[1].data()});
        return o;
      });
      for (i64 block = 0; block < groups * down * across; ++block) {
        const i64 g = block / (down * across), n0 = block / across % down * kFp8Tile, k0 = block % across * kFp8Tile;
        std::vector<double> in, q;
        for (i64 r = n0; r < std::min(n, n0 + kFp8Tile); ++r) {
          for (i64 c = k0; c < std::min(k, k0 + kFp8Tile); ++c) {
            in.push_back(w.get((g * n + r) * k + c));
            q.push_back(out[0].get((g * n + r) * k + c));
          }
        }
        expect_tile(in, q, out[1].get(block), false);
      }
    }
  }
}

TEST(Fp8, ZerosNanAndInfinity) {
  const i64 k = 300;
  Buffer x = Buffer::random(k, DType::f32, 8);
  const float infinity = std::numeric_limits<float>::infinity();
  for (i64 c = 0; c < kFp8Tile; ++c) x.set(c, c % 2 == 0 ? 0.0 : -0.0);
  x.set(130, std::nan(""));
  x.set(299, -infinity);
  const Outputs out =
      expect_equal_everywhere("fp8_rows", [&](const Context& cx) { return quantise_rows(cx, x, 0, 1, k, false); });
  for (i64 c = 0; c < kFp8Tile; ++c) EXPECT_EQ(out[2].get(c), 0);
  EXPECT_TRUE(std::isnan(out[0].get(130)));
  EXPECT_TRUE(std::isnan(out[2].get(130)));
  // A NaN leaves the others of its tile alone.
  double amax = 0;
  for (i64 c = kFp8Tile; c < 2 * kFp8Tile; ++c) amax = c == 130 ? amax : std::max(amax, std::abs(x.get(c)));
  EXPECT_EQ(out[1].get(1), expected_scale(amax, 448, false));
  // An infinity does not hide: its own number is NaN, and the scale is infinite.
  EXPECT_TRUE(std::isnan(out[0].get(299)));
  EXPECT_EQ(out[1].get(2), infinity);
  for (i64 c = 2 * kFp8Tile; c < k; ++c) EXPECT_TRUE(std::isnan(out[2].get(c)));
}

TEST(Fp8, E5m6RoundsToSixBitsWithPowersOfTwo) {
  for (const i64 k : kFp8Widths) {
    for (const DType dtype : kActs) {
      SCOPED_TRACE(fmt::format("k {} {}", k, name_of(dtype)));
      const i64 rows = 7;
      const Buffer x = matrix(rows, k, dtype, 9);
      const Outputs out = expect_rows_equal("round_e5m6", rows, [&](const Context& cx, i64 first, i64 n) {
        Outputs o{Buffer(n * k, dtype)};
        kernels::run(cx, kernels::RoundE5m6{n, k, x.at(first * k), o[0].raw(), dtype});
        return o;
      });
      for (i64 r = 0; r < rows; ++r) {
        for (i64 t = 0; t < fp8_tiles(k); ++t) {
          const i64 begin = r * k + t * kFp8Tile, end = std::min((r + 1) * k, begin + kFp8Tile);
          double amax = 0;
          for (i64 i = begin; i < end; ++i) amax = std::max(amax, std::abs(x.get(i)));
          const double s = expected_scale(amax, 65024, true);
          for (i64 i = begin; i < end; ++i) {
            ASSERT_EQ(out[0].get(i), nearest(e5m6_sizes(), x.get(i) / s) * s) << x.get(i);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace hadal::test
