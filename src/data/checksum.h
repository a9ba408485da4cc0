// The checksum of shards and of other files of ours. It finds damage; it does not withstand an attacker.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace hadal::data {

// Of bytes at once.
std::uint64_t hash_bytes(std::span<const std::byte> bytes, std::uint64_t seed = 0);

// Of bytes that come in pieces; how they are cut does not matter.
class Checksum {
 public:
  void add(std::span<const std::byte> bytes) {
    size_ += bytes.size();
    while (!bytes.empty()) {
      if (held_ == 0 && bytes.size() >= 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data(), 8);
        mix(word);
        bytes = bytes.subspan(8);
        continue;
      }
      const std::size_t n = std::min(8 - held_, bytes.size());
      std::memcpy(reinterpret_cast<std::byte*>(&word_) + held_, bytes.data(), n);
      held_ += n;
      bytes = bytes.subspan(n);
      if (held_ < 8) continue;
      mix(word_);
      word_ = 0;
      held_ = 0;
    }
  }
  std::uint64_t value() const {
    Checksum end = *this;
    if (held_ > 0) end.mix(word_);
    end.mix(size_);
    return end.hash_ ^ (end.hash_ >> 33);
  }

 private:
  void mix(std::uint64_t word) { hash_ = std::rotl((hash_ ^ word) * 0xff51afd7ed558ccdull, 31); }
  std::uint64_t hash_ = 0x9e3779b97f4a7c15ull, word_ = 0, size_ = 0;
  std::size_t held_ = 0;  // bytes in word_
};

}  // namespace hadal::data
