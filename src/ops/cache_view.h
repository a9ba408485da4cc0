// What attention sees of a key/value cache: blocks of 64 positions, found through a table of blocks. Owned by engine/.
// One layer's block holds 64 rows of `width1` elements (MLA latent: c; GQA: [k heads | v heads]), or as many elements
// head by head, 64 rows of [k_nope | v] each (MLA expanded: what a head attends to lies together); and 64 rows of
// `width2` elements (MLA: the rotated k_pe; else 0).
#pragma once

#include <span>
#include <vector>

#include "kernels/context.h"
#include "tensor/tensor.h"

namespace hadal::ops {

struct CacheLayer {
  DType dtype = DType::f32;
  std::int64_t width1 = 0, width2 = 0;
  std::byte* data1 = nullptr;  // (blocks, heads, 64, width1 / heads)
  std::byte* data2 = nullptr;  // (blocks, 64, width2)
  std::int64_t heads = 1;
};

// Rows [row_begin, row_end) of the batch are positions [first, first + rows) of a sequence whose position p lies in
// block blocks[p / 64], row p % 64.
struct CacheSequence {
  std::int64_t row_begin = 0, row_end = 0;
  std::int64_t first = 0;
  std::span<const std::int32_t> blocks;
};

struct CacheView {
  std::vector<CacheLayer> layers;
  std::vector<CacheSequence> sequences;
};

// Copies x (T, n) into the new positions' rows: columns [column, column + n) of data1 (part 1) or data2 (part 2). Where
// data1 lies head by head, x has all its columns.
void write_cache(const Tensor& x, const CacheLayer& layer, std::span<const CacheSequence> sequences, int part,
                 std::int64_t column);

// Positions [0, length) of one sequence as a tensor (length, width of the part), heads side by side.
Tensor read_cache(const CacheLayer& layer, const CacheSequence& sequence, std::int64_t length, int part);

}  // namespace hadal::ops
