// Random numbers are keyed, never drawn from a shared sequence (DESIGN §3): Philox4x32-10 of (key, counter).
// Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace hadal {

// One block: four words from a 128-bit counter and a 64-bit key.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

// A stream of numbers that depends on its key alone.
class Rng {
 public:
  Rng(std::uint64_t seed, std::string_view name);                         // init: (seed, tensor name)
  Rng(std::uint64_t seed, std::uint64_t stream, std::uint64_t position);  // sampling: (request seed, position)

  std::uint32_t bits();
  std::uint64_t uint64();
  double uniform();                      // in (0, 1), 32 bits
  double normal();                       // N(0, 1)
  std::uint64_t below(std::uint64_t n);  // in [0, n), n > 0, without bias

 private:
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 4> block_{};
  int left_ = 0;
};

}  // namespace hadal
