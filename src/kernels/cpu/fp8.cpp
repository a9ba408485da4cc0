// Quantisers of fp8 training; ref/fp8.cpp is the definition.
#include <array>

#include "kernels/cpu/e4m3.h"
#include "kernels/declare.h"
#include "kernels/kernels.h"

namespace hadal::kernels::HADAL_ISA_NS {

HADAL_KERNELS(HADAL_DECLARE)

namespace {

// Largest size of n elements in every lane.
template <class T>
F32x16 amax_of(const T* x, i64 n, F32x16 amax) {
  for_lanes(n, [&](i64 i, auto lanes) { amax = see(amax, load(x + i, lanes)); });
  return amax;
}

float in_one(F32x16 x) {
  alignas(64) float lanes[kLanes];
  store(lanes, x);
  return lanes[0];
}

// Codes of E4M3 numbers, which they are already.
void store_codes(std::uint8_t* codes, F32x16 q, int n) {
  alignas(64) float lanes[kLanes];
  store(lanes, q);
  for (int i = 0; i < n; ++i) codes[i] = e4m3(lanes[i]).bits;
}
int count(Whole) { return kLanes; }
int count(First lanes) { return lanes.n; }

// The scale of n elements of one row, and their numbers to `put`(i, q, lanes).
template <class T, class Put>
float quantise_tile(const T* x, i64 n, bool power, Put&& put) {
  const F32x16 s = tile_scale(set1(max_lane(amax_of(x, n, zero()))), e4m3::kMost, power);
  for_lanes(n, [&](i64 i, auto lanes) { put(i, round_e4m3(load(x + i, lanes) / s), lanes); });
  return in_one(s);
}

// Rows [begin, end) of a tile of 128 x 1, kLanes columns at c.
template <class T, class Lanes>
void quantise_columns(const Fp8Columns& p, i64 begin, i64 end, i64 c, float* scales, Lanes lanes) {
  const auto* x = static_cast<const T*>(p.x);
  const auto at = [&](i64 r) {
    const F32x16 v = load(x + r * p.k + c, lanes);
    return p.x_scales != nullptr ? v * set1(p.x_scales[r * fp8_tiles(p.k) + c / kFp8Tile]) : v;
  };
  F32x16 amax = zero();
  for (i64 r = begin; r < end; ++r) amax = see(amax, at(r));
  const F32x16 s = tile_scale(amax, e4m3::kMost, p.power);
  store(scales + c, s, lanes);
  for (i64 r = begin; r < end; ++r) store(p.values + r * p.k + c, round_e4m3(at(r) / s), lanes);
}

}  // namespace

void fp8_rows(const Context& cx, const Fp8Rows& p) {
  with_type(p.x_dtype, [&](auto type) {
    const auto* x = static_cast<const decltype(type)*>(p.x);
    const i64 tiles = fp8_tiles(p.k);
    run_blocks(cx, p.rows, p.k, [&](i64 begin, i64 end, int) {
      for (i64 tile = begin * tiles; tile < end * tiles; ++tile) {
        const i64 first = tile % tiles * kFp8Tile, at = tile / tiles * p.k + first;
        p.scales[tile] =
            quantise_tile(x + at, std::min(kFp8Tile, p.k - first), p.power, [&](i64 i, F32x16 q, auto lanes) {
              if (p.values != nullptr) store(p.values + at + i, q, lanes);
              if (p.codes != nullptr) store_codes(p.codes + at + i, q, count(lanes));
            });
      }
    });
  });
}

void fp8_columns(const Context& cx, const Fp8Columns& p) {
  struct Tile {
    i64 begin, end;
  };
  std::vector<Tile> tiles;
  for (i64 g = 0; g < p.groups; ++g) {
    for (i64 r = p.offsets[g]; r < p.offsets[g + 1]; r += kFp8Tile) {
      tiles.push_back({r, std::min<i64>(p.offsets[g + 1], r + kFp8Tile)});
    }
  }
  with_type(p.x_dtype, [&](auto type) {
    using T = decltype(type);
    cx.pool().run(static_cast<i64>(tiles.size()), [&](i64 task, int) {
      const Tile tile = tiles[static_cast<std::size_t>(task)];
      for_lanes(p.k, [&](i64 c, auto lanes) {
        quantise_columns<T>(p, tile.begin, tile.end, c, p.scales + task * p.k, lanes);
      });
    });
  });
}

void fp8_blocks(const Context& cx, const Fp8Blocks& p) {
  const i64 down = fp8_tiles(p.n), across = fp8_tiles(p.k);
  with_type(p.w_dtype, [&](auto type) {
    const auto* w = static_cast<const decltype(type)*>(p.w);
    cx.pool().run(p.groups * down * across, [&](i64 block, int) {
      const i64 n0 = block / across % down * kFp8Tile, k0 = block % across * kFp8Tile;
      const i64 rows = std::min(kFp8Tile, p.n - n0), columns = std::min(kFp8Tile, p.k - k0);
      const i64 at = (block / (down * across) * p.n + n0) * p.k + k0;
      F32x16 amax = zero();
      for (i64 r = 0; r < rows; ++r) amax = amax_of(w + at + r * p.k, columns, amax);
      const F32x16 s = tile_scale(set1(max_lane(amax)), e4m3::kMost, false);
      p.scales[block] = in_one(s);
      for (i64 r = 0; r < rows; ++r) {
        const i64 row = at + r * p.k;
        for_lanes(columns, [&](i64 i, auto lanes) {
          store(p.values + row + i, round_e4m3(load(w + row + i, lanes) / s), lanes);
        });
      }
    });
  });
}

void fp8_unpack(const Context& cx, const Fp8Unpack& p) {
  std::array<float, 256> numbers{};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    e4m3 q;
    q.bits = static_cast<std::uint8_t>(i);
    numbers[i] = static_cast<float>(q);
  }
  const i64 tiles = fp8_tiles(p.k);
  run_blocks(cx, p.rows, p.k, [&](i64 begin, i64 end, int) {
    for (i64 r = begin; r < end; ++r) {
      for (i64 c = 0; c < p.k; ++c) {
        p.y[r * p.k + c] = numbers[p.codes[r * p.k + c]] * p.scales[r * tiles + c / kFp8Tile];
      }
    }
  });
}

void round_e5m6(const Context& cx, const RoundE5m6& p) {
  with_type(p.act, [&](auto type) {
    using T = decltype(type);
    const auto* x = static_cast<const T*>(p.x);
    auto* y = static_cast<T*>(p.y);
    run_blocks(cx, p.rows, p.k, [&](i64 begin, i64 end, int) {
      for (i64 r = begin; r < end; ++r) {
        for (i64 first = 0; first < p.k; first += kFp8Tile) {
          const i64 at = r * p.k + first, n = std::min(kFp8Tile, p.k - first);
          const F32x16 s = tile_scale(set1(max_lane(amax_of(x + at, n, zero()))), kE5m6Most, true);
          for_lanes(
              n, [&](i64 i, auto lanes) { store(y + at + i, round_to_e5m6(load(x + at + i, lanes) / s) * s, lanes); });
        }
      }
    });
  });
}

}  // namespace hadal::kernels::HADAL_ISA_NS
