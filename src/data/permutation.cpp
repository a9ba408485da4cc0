#include "data/permutation.h"

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "base/rng.h"

namespace hadal::data {

namespace {

constexpr std::uint32_t kRounds = 8;

}  // namespace

Permutation::Permutation(std::uint64_t key, std::uint64_t n)
    : n_(n), key_{static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)} {
  HADAL_ASSERT(n > 0);
  // Halves of two bits at least: smaller ones have next to no orders to choose from.
  half_bits_ = std::max(2, (static_cast<int>(std::bit_width(n - 1)) + 1) / 2);
}

std::uint64_t Permutation::once(std::uint64_t x) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t left = x >> half_bits_, right = x & mask;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    const std::uint64_t mixed = philox({static_cast<std::uint32_t>(right), round, 0, 0}, key_)[0];
    const std::uint64_t next = left ^ (mixed & mask);
    left = right;
    right = next;
  }
  return left << half_bits_ | right;
}

std::uint64_t Permutation::operator()(std::uint64_t place) const {
  HADAL_ASSERT(place < n_);
  std::uint64_t x = once(place);
  while (x >= n_) x = once(x);
  return x;
}

}  // namespace hadal::data
