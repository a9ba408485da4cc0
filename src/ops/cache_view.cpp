#include "ops/cache_view.h"

#include <cstring>

#include "kernels/kernels.h"
#include "ops/common.h"

namespace hadal::ops {

namespace {

// One part of a block: `heads` times 64 rows of `width` elements.
struct Part {
  std::byte* data;
  std::int64_t heads, width;
  std::size_t element;
  std::size_t row_bytes() const { return static_cast<std::size_t>(width) * element; }
  std::byte* row(const CacheSequence& s, std::int64_t position, std::int64_t head) const {
    const std::int64_t block = s.blocks[static_cast<std::size_t>(position / kernels::kKeyTile)];
    const std::int64_t row = (block * heads + head) * kernels::kKeyTile + position % kernels::kKeyTile;
    return data + static_cast<std::size_t>(row) * row_bytes();
  }
};

Part part_of(const CacheLayer& l, int part) {
  if (part == 2) return {l.data2, 1, l.width2, size_of(l.dtype)};
  return {l.data1, l.heads, l.width1 / l.heads, size_of(l.dtype)};
}

}  // namespace

void write_cache(const Tensor& x, const CacheLayer& layer, std::span<const CacheSequence> sequences, int part,
                 std::int64_t column) {
  const Part to = part_of(layer, part);
  const std::int64_t n = x.size(1);
  require(x.rank() == 2 && x.dtype() == layer.dtype && column + n <= to.heads * to.width &&
              (to.heads == 1 || n == to.heads * to.width),
          "write_cache", "x (T, n) of the cache's dtype and width", {&x});
  const std::size_t bytes = static_cast<std::size_t>(n / to.heads) * to.element;
  const auto* from = static_cast<const std::byte*>(x.raw());
  for (const CacheSequence& s : sequences) {
    for (std::int64_t r = s.row_begin; r < s.row_end; ++r) {
      for (std::int64_t h = 0; h < to.heads; ++h) {
        std::memcpy(to.row(s, s.first + r - s.row_begin, h) + static_cast<std::size_t>(column) * to.element,
                    from + static_cast<std::size_t>(r * to.heads + h) * bytes, bytes);
      }
    }
  }
}

Tensor read_cache(const CacheLayer& layer, const CacheSequence& sequence, std::int64_t length, int part) {
  const Part from = part_of(layer, part);
  Tensor x = Tensor::empty({length, from.heads * from.width}, layer.dtype);
  auto* to = static_cast<std::byte*>(x.raw());
  for (std::int64_t p = 0; p < length; ++p) {
    for (std::int64_t h = 0; h < from.heads; ++h, to += from.row_bytes()) {
      std::memcpy(to, from.row(sequence, p, h), from.row_bytes());
    }
  }
  return x;
}

}  // namespace hadal::ops
