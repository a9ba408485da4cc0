#include "data/checksum.h"

namespace hadal::data {

std::uint64_t hash_bytes(std::span<const std::byte> bytes, std::uint64_t seed) {
  std::uint64_t h = 0x9e3779b97f4a7c15ull ^ seed ^ bytes.size();
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min<std::size_t>(8, bytes.size() - i));
    h = std::rotl((h ^ word) * 0xff51afd7ed558ccdull, 31);
  }
  return h ^ (h >> 33);
}

}  // namespace hadal::data
