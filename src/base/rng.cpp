#include "base/rng.h"

#include <cmath>
#include <numbers>

namespace hadal {

namespace {

std::uint64_t hash_name(std::string_view name) {
  std::uint64_t h = 0xcbf29ce484222325ull;  // FNV-1a
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return h;
}

std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

}  // namespace

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c, std::array<std::uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * c[0], b = std::uint64_t{0xCD9E8D57u} * c[2];
    c = {high(b) ^ c[1] ^ k[0], low(b), high(a) ^ c[3] ^ k[1], low(a)};
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  return c;
}

Rng::Rng(std::uint64_t seed, std::string_view name) : Rng(seed, hash_name(name), 0) {}

Rng::Rng(std::uint64_t seed, std::uint64_t stream, std::uint64_t position)
    : key_{low(seed), high(seed)}, counter_{0, low(position), low(stream) ^ high(position), high(stream)} {}

std::uint32_t Rng::bits() {
  if (left_ == 0) {
    block_ = philox(counter_, key_);
    ++counter_[0];
    left_ = 4;
  }
  return block_[static_cast<std::size_t>(--left_)];
}

std::uint64_t Rng::uint64() {
  const std::uint64_t first = bits();
  return first << 32 | bits();
}

double Rng::uniform() { return (static_cast<double>(bits()) + 0.5) * 0x1p-32; }

double Rng::normal() {
  const double radius = std::sqrt(-2 * std::log(uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

std::uint64_t Rng::below(std::uint64_t n) {
  const std::uint64_t most = ~std::uint64_t{0} - ~std::uint64_t{0} % n;  // a multiple of n
  for (;;) {
    const std::uint64_t v = uint64();
    if (v < most) return v % n;
  }
}

}  // namespace hadal
