#include "ops/cache_view.h"

#include <algorithm>
#include <cstring>

#include "kernels/kernels.h"
#include "ops/common.h"

namespace hadal::ops {

void write_cache(const Tensor& x, const CacheLayer& layer, std::span<const CacheSequence> sequences, int part,
                 std::int64_t column) {
  const std::int64_t width = part == 1 ? layer.width1 : layer.width2, n = x.size(1);
  require(x.rank() == 2 && x.dtype() == layer.dtype && column + n <= width, "write_cache",
          "x (T, n) of the cache's dtype and width", {&x});
  std::byte* data = part == 1 ? layer.data1 : layer.data2;
  const std::size_t element = size_of(x.dtype());
  const auto* from = static_cast<const std::byte*>(x.raw());
  for (const CacheSequence& s : sequences) {
    for (std::int64_t r = s.row_begin; r < s.row_end; ++r) {
      const std::int64_t p = s.first + r - s.row_begin;
      const std::int64_t row =
          s.blocks[static_cast<std::size_t>(p / kernels::kKeyTile)] * kernels::kKeyTile + p % kernels::kKeyTile;
      std::memcpy(data + static_cast<std::size_t>(row * width + column) * element,
                  from + static_cast<std::size_t>(r * n) * element, static_cast<std::size_t>(n) * element);
    }
  }
}

Tensor read_cache(const CacheLayer& layer, const CacheSequence& sequence, std::int64_t length, int part) {
  const std::int64_t width = part == 1 ? layer.width1 : layer.width2;
  Tensor x = Tensor::empty({length, width}, layer.dtype);
  const std::byte* data = part == 1 ? layer.data1 : layer.data2;
  const std::size_t row = static_cast<std::size_t>(width) * size_of(layer.dtype);
  for (std::int64_t p = 0; p < length; p += kernels::kKeyTile) {
    const std::int64_t n = std::min(kernels::kKeyTile, length - p);
    const auto block = static_cast<std::size_t>(sequence.blocks[static_cast<std::size_t>(p / kernels::kKeyTile)]);
    std::memcpy(static_cast<std::byte*>(x.raw()) + static_cast<std::size_t>(p) * row,
                data + block * static_cast<std::size_t>(kernels::kKeyTile) * row, static_cast<std::size_t>(n) * row);
  }
  return x;
}

}  // namespace hadal::ops
