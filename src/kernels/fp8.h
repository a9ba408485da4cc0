// The kernels of fp8 training (V3 §3.3, SPEC §6.2): quantisers to E4M3 with scales from the amax at hand, and products
// of what they make. An E4M3 number is exact in bf16, so operands of products are bf16 tensors that hold E4M3 numbers,
// beside their scales; codes of one byte are what a forward keeps. Letters as in kernels.h.
//
// A quantiser, for every tile: amax = the largest size in it (of those that are numbers), s = max(amax / 448, 2^-126)
// in f32; `power`: the least power of two that is not below that. q = e4m3(x / s), to nearest even: x is about q s. A
// tile of zeros has codes 0. NaN stays NaN and leaves the others alone; with an infinity s is infinite, and whatever
// is made from the tile is NaN.
#pragma once

#include <cstdint>

#include "base/types.h"
#include "tensor/dtype.h"

namespace hadal::kernels {

constexpr std::int64_t kFp8Tile = 128;
constexpr std::int64_t fp8_tiles(std::int64_t n) { return (n + kFp8Tile - 1) / kFp8Tile; }

// Tiles of 1 x 128: activations, and gradients as the input gradient takes them.
struct Fp8Rows {
  std::int64_t rows = 0, k = 0;
  const void* x = nullptr;  // (rows, k), contiguous
  DType x_dtype = DType::f32;
  bool power = false;
  bf16* values = nullptr;         // (rows, k) or null
  std::uint8_t* codes = nullptr;  // (rows, k) or null
  float* scales = nullptr;        // (rows, fp8_tiles(k))
};
// Tiles of 128 x 1 for weight gradients: 128 rows of a group, counted from its first one; the last tile of a group may
// have fewer. What is quantised is x, or x times the scale of its 1 x 128 tile, f32: dequantise and requantise in one.
struct Fp8Columns {
  std::int64_t groups = 0, k = 0;
  const std::int32_t* offsets = nullptr;  // (groups + 1), as GroupedMatmul has them
  const void* x = nullptr;                // (offsets[groups], k), contiguous
  DType x_dtype = DType::f32;
  const float* x_scales = nullptr;  // (offsets[groups], fp8_tiles(k)) or null
  bool power = false;
  bf16* values = nullptr;   // (offsets[groups], k)
  float* scales = nullptr;  // (fp8_column_tiles, k): the tiles of all groups, in order
};
inline std::int64_t fp8_column_tiles(std::int64_t groups, const std::int32_t* offsets) {
  std::int64_t n = 0;
  for (std::int64_t g = 0; g < groups; ++g) n += fp8_tiles(offsets[g + 1] - offsets[g]);
  return n;
}
// Blocks of 128 x 128: weights.
struct Fp8Blocks {
  std::int64_t groups = 0, n = 0, k = 0;
  const void* w = nullptr;  // (groups, n, k)
  DType w_dtype = DType::f32;
  bf16* values = nullptr;   // (groups, n, k)
  float* scales = nullptr;  // (groups, fp8_tiles(n), fp8_tiles(k))
};
// y = number of the code * scale of its 1 x 128 tile, f32.
struct Fp8Unpack {
  std::int64_t rows = 0, k = 0;
  const std::uint8_t* codes = nullptr;  // (rows, k)
  const float* scales = nullptr;        // (rows, fp8_tiles(k))
  float* y = nullptr;                   // (rows, k)
};

// Products whose sums are promoted every 128 elements of k: acc = fma(s, a's scale * b's scale, acc) from acc = +0,
// chunk after chunk, where s is the bf16 dot product of kernels.h over the chunk alone. Then + bias, and the store.

// Rows of group g times its weight: C = A Wᵀ if w_transposed, with k the rows of W's columns; else C = A W (the input
// gradient), with k its rows.
struct Fp8Matmul {
  std::int64_t groups = 0, n = 0, k = 0;
  const std::int32_t* offsets = nullptr;  // (groups + 1)
  const bf16* a = nullptr;                // (offsets[groups], k)
  const float* a_scales = nullptr;        // (offsets[groups], fp8_tiles(k))
  const bf16* w = nullptr;                // (groups, n, k) if w_transposed, else (groups, k, n)
  const float* w_scales = nullptr;        // of blocks of w
  bool w_transposed = true;
  void* c = nullptr;  // (offsets[groups], n)
  DType c_dtype = DType::f32;
  const float* bias = nullptr;  // (n) or null
};
// dw_g (n, k) = or += sum over the rows r of group g of dy(r, n) x(r, k), both in tiles of 128 x 1.
struct Fp8WeightGrad {
  std::int64_t groups = 0, n = 0, k = 0;
  const std::int32_t* offsets = nullptr;  // (groups + 1)
  const bf16* dy = nullptr;               // (offsets[groups], n)
  const float* dy_scales = nullptr;       // (fp8_column_tiles, n)
  const bf16* x = nullptr;                // (offsets[groups], k)
  const float* x_scales = nullptr;        // (fp8_column_tiles, k)
  float* dw = nullptr;                    // (groups, n, k)
  bool accumulate = true;                 // as GroupedWeightGrad has it
};

// y = x rounded to E5M6 in tiles of 1 x 128: 5 + 6 bits as IEEE has them (bias 15, subnormals, the highest exponent
// kept free: at most 65024), times s, the least power of two not below max(amax / 65024, 2^-126). Seven significant
// bits: exact in bf16. NaN stays NaN, an infinity makes its tile NaN.
struct RoundE5m6 {
  std::int64_t rows = 0, k = 0;
  const void* x = nullptr;  // (rows, k)
  void* y = nullptr;        // (rows, k), may be x
  DType act = DType::bf16;
};

}  // namespace hadal::kernels
