// Ids of short pieces seen before. One entry is one cache line; a newcomer replaces what is in its place.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace hadal::text {

// A cache belongs to one thread and one tokenizer.
class WordCache {
 public:
  // Rounded down to a power of two, at least 2 entries of 64 bytes each.
  explicit WordCache(std::size_t entries = std::size_t{1} << 15) {
    while (entries >= 4) entries /= 2, ++bits_;
    entries_.resize(std::size_t{1} << bits_);
  }

  static constexpr std::size_t kMaxBytes = 15;
  static constexpr std::size_t kMaxIds = 11;

  struct Key {
    std::uint64_t low = 0, high = 0;        // the bytes, zero-filled; the size is the top byte
    explicit Key(std::string_view piece) {  // piece.size() <= kMaxBytes
      char bytes[16] = {};
      if (!piece.empty()) std::memcpy(bytes, piece.data(), piece.size());
      bytes[15] = static_cast<char>(piece.size());
      std::memcpy(&low, bytes, 8);
      std::memcpy(&high, bytes + 8, 8);
    }
    bool operator==(const Key&) const = default;
  };

  // Appends the ids and returns true if the piece is known.
  bool lookup(const Key& key, std::vector<std::int32_t>& out) const {
    const Entry& entry = entries_[place(key)];
    if (entry.low != key.low || entry.high != key.high) return false;
    out.insert(out.end(), entry.ids.begin(), entry.ids.begin() + entry.count);
    return true;
  }

  void store(const Key& key, const std::int32_t* ids, std::size_t count) {
    if (count > kMaxIds) return;
    Entry& entry = entries_[place(key)];
    entry.low = key.low, entry.high = key.high, entry.count = static_cast<std::uint32_t>(count);
    std::memcpy(entry.ids.data(), ids, count * sizeof(std::int32_t));
  }

 private:
  struct alignas(64) Entry {
    std::uint64_t low = 0, high = 0;  // a size of 0 is no piece's
    std::uint32_t count = 0;
    std::array<std::int32_t, kMaxIds> ids;
  };

  std::size_t place(const Key& key) const {
    const std::uint64_t mixed = (key.low ^ (key.high * 0x9E3779B97F4A7C15u)) * 0xD6E8FEB86659FD93u;
    return static_cast<std::size_t>((mixed ^ mixed >> 32) * 0x9E3779B97F4A7C15u >> (64 - bits_));
  }

  unsigned bits_ = 1;
  std::vector<Entry> entries_;
};

}  // namespace hadal::text
