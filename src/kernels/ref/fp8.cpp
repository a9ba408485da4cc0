// The definition of fp8 training's kernels, number by number.
#include "kernels/ref/scalar.h"

namespace hadal::kernels::ref {

namespace {

struct Amax {
  float most = 0;
  void see(float x) {
    if (std::fabs(x) > most) most = std::fabs(x);  // false for NaN
  }
};

float scale_of(float amax, float most, bool power) {
  const float s = std::fmax(amax / most, 0x1p-126f);
  if (!power || std::isinf(s)) return s;
  const float below = std::ldexp(1.0f, std::ilogb(s));
  return below < s ? 2 * below : below;
}

// x to the nearest number with 6 bits after the point and an exponent of 5 bits; |x| is at most 65024, or NaN.
float e5m6(float x) {
  if (std::isnan(x) || x == 0) return x;
  const int exponent = std::max(std::ilogb(x), -14);
  return std::ldexp(std::nearbyint(std::ldexp(x, 6 - exponent)), exponent - 6);
}

// Element (r, c) of matrices in tiles of 1 x 128 has its scale at r * tiles + c / 128.
i64 tile_at(i64 r, i64 c, i64 k) { return r * fp8_tiles(k) + c / kFp8Tile; }

// f(tile, begin, end, amax) for each tile of 1 x 128 of x (rows, k): the place of its scale, its elements.
template <class F>
void each_row_tile(const void* x, DType dtype, i64 rows, i64 k, const F& f) {
  for (i64 r = 0; r < rows; ++r) {
    for (i64 first = 0; first < k; first += kFp8Tile) {
      const i64 begin = r * k + first, end = r * k + std::min(k, first + kFp8Tile);
      Amax amax;
      for (i64 i = begin; i < end; ++i) amax.see(get(x, i, dtype));
      f(tile_at(r, first, k), begin, end, amax.most);
    }
  }
}

}  // namespace

void fp8_rows(const Context&, const Fp8Rows& p) {
  each_row_tile(p.x, p.x_dtype, p.rows, p.k, [&](i64 tile, i64 begin, i64 end, float amax) {
    const float s = scale_of(amax, e4m3::kMost, p.power);
    p.scales[tile] = s;
    for (i64 i = begin; i < end; ++i) {
      const e4m3 q(get(p.x, i, p.x_dtype) / s);
      if (p.values != nullptr) p.values[i] = bf16(static_cast<float>(q));
      if (p.codes != nullptr) p.codes[i] = q.bits;
    }
  });
}

void fp8_columns(const Context&, const Fp8Columns& p) {
  const auto x = [&](i64 r, i64 c) {
    const float v = get(p.x, r * p.k + c, p.x_dtype);
    return p.x_scales != nullptr ? v * p.x_scales[tile_at(r, c, p.k)] : v;
  };
  float* scales = p.scales;
  for (i64 g = 0; g < p.groups; ++g) {
    for (i64 first = p.offsets[g]; first < p.offsets[g + 1]; first += kFp8Tile, scales += p.k) {
      const i64 end = std::min<i64>(p.offsets[g + 1], first + kFp8Tile);
      for (i64 c = 0; c < p.k; ++c) {
        Amax amax;
        for (i64 r = first; r < end; ++r) amax.see(x(r, c));
        scales[c] = scale_of(amax.most, e4m3::kMost, p.power);
        for (i64 r = first; r < end; ++r) {
          p.values[r * p.k + c] = bf16(static_cast<float>(e4m3(x(r, c) / scales[c])));
        }
      }
    }
  }
}

void fp8_blocks(const Context&, const Fp8Blocks& p) {
  float* scale = p.scales;
  for (i64 g = 0; g < p.groups; ++g) {
    for (i64 n0 = 0; n0 < p.n; n0 += kFp8Tile) {
      for (i64 k0 = 0; k0 < p.k; k0 += kFp8Tile, ++scale) {
        const auto each = [&](auto&& f) {
          for (i64 n = n0; n < std::min(p.n, n0 + kFp8Tile); ++n) {
            for (i64 k = k0; k < std::min(p.k, k0 + kFp8Tile); ++k) f((g * p.n + n) * p.k + k);
          }
        };
        Amax amax;
        each([&](i64 i) { amax.see(get(p.w, i, p.w_dtype)); });
        *scale = scale_of(amax.most, e4m3::kMost, false);
        each([&](i64 i) { p.values[i] = bf16(static_cast<float>(e4m3(get(p.w, i, p.w_dtype) / *scale))); });
      }
    }
  }
}

void fp8_unpack(const Context&, const Fp8Unpack& p) {
  for (i64 r = 0; r < p.rows; ++r) {
    for (i64 c = 0; c < p.k; ++c) {
      e4m3 q;
      q.bits = p.codes[r * p.k + c];
      p.y[r * p.k + c] = static_cast<float>(q) * p.scales[tile_at(r, c, p.k)];
    }
  }
}

namespace {

// a(i), b(i): element i of the operands; a_scale(j), b_scale(j): their scales in chunk j.
template <class A, class B, class AScale, class BScale>
float promoted_dot(i64 k, const A& a, const B& b, const AScale& a_scale, const BScale& b_scale) {
  float acc = 0;
  for (i64 j = 0; j < fp8_tiles(k); ++j) {
    const i64 first = j * kFp8Tile, length = std::min(kFp8Tile, k - first);
    const float s = dot(
        length, length, true, [&](i64 i) { return static_cast<float>(a(first + i)); },
        [&](i64 i) { return static_cast<float>(b(first + i)); });
    acc = std::fma(s, a_scale(j) * b_scale(j), acc);
  }
  return acc;
}

}  // namespace

void fp8_matmul(const Context&, const Fp8Matmul& p) {
  const i64 chunks = fp8_tiles(p.k), blocks = fp8_tiles(p.n);
  for (i64 g = 0; g < p.groups; ++g) {
    const bf16* w = p.w + g * p.n * p.k;
    const float* w_scales = p.w_scales + g * chunks * blocks;
    for (i64 r = p.offsets[g]; r < p.offsets[g + 1]; ++r) {
      for (i64 n = 0; n < p.n; ++n) {
        const float acc = promoted_dot(
            p.k, [&](i64 i) { return p.a[r * p.k + i]; },
            [&](i64 i) { return p.w_transposed ? w[n * p.k + i] : w[i * p.n + n]; },
            [&](i64 j) { return p.a_scales[r * chunks + j]; },
            [&](i64 j) { return w_scales[p.w_transposed ? n / kFp8Tile * chunks + j : j * blocks + n / kFp8Tile]; });
        put(p.c, r * p.n + n, p.c_dtype, p.bias != nullptr ? acc + p.bias[n] : acc);
      }
    }
  }
}

void fp8_weight_grad(const Context&, const Fp8WeightGrad& p) {
  i64 tile = 0;
  for (i64 g = 0; g < p.groups; ++g) {
    const i64 first = p.offsets[g], rows = p.offsets[g + 1] - first;
    float* dw = p.dw + g * p.n * p.k;
    for (i64 i = 0; i < p.n * p.k && (rows > 0 || !p.accumulate); ++i) {
      const i64 n = i / p.k, k = i % p.k;
      const float acc = promoted_dot(
          rows, [&](i64 r) { return p.dy[(first + r) * p.n + n]; }, [&](i64 r) { return p.x[(first + r) * p.k + k]; },
          [&](i64 j) { return p.dy_scales[(tile + j) * p.n + n]; },
          [&](i64 j) { return p.x_scales[(tile + j) * p.k + k]; });
      dw[i] = p.accumulate ? dw[i] + acc : acc;
    }
    tile += fp8_tiles(rows);
  }
}

void round_e5m6(const Context&, const RoundE5m6& p) {
  each_row_tile(p.x, p.act, p.rows, p.k, [&](i64, i64 begin, i64 end, float amax) {
    const float s = scale_of(amax, 65024.0f, true);
    for (i64 i = begin; i < end; ++i) put(p.y, i, p.act, e5m6(get(p.x, i, p.act) / s) * s);
  });
}

}  // namespace hadal::kernels::ref
