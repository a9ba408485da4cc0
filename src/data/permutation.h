// A random order of 0 ... n - 1 that is computed place by place: nothing is held, whatever n is.
#pragma once

#include <array>
#include <cstdint>

namespace hadal::data {

// A Feistel network of eight rounds over the smallest square of a power of two that holds n, walked until it gives a
// number below n (four steps at most on average; Black and Rogaway 2002, "Ciphers with arbitrary finite domains").
class Permutation {
 public:
  // key: everything random follows from it. n >= 1.
  Permutation(std::uint64_t key, std::uint64_t n);
  // The number at `place`; each one below n is at one place. place < n.
  std::uint64_t operator()(std::uint64_t place) const;

 private:
  std::uint64_t once(std::uint64_t x) const;

  std::uint64_t n_;
  int half_bits_ = 1;
  std::array<std::uint32_t, 2> key_;
};

}  // namespace hadal::data
