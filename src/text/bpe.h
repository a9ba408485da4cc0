// Byte-pair merges of one piece of text: lowest rank first, the leftmost first among equals.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/word_cache.h"

namespace hadal::text {

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using IdsByText = std::unordered_map<std::string, std::int32_t, StringHash, std::equal_to<>>;

struct Merge {
  std::int32_t left, right, result;  // ids; the rank is the position in the list
};

// What stands for a byte without a token; without an id such a byte is left out.
struct UnknownToken {
  std::int32_t id = -1;
  bool fuse = false;  // one for a run of such bytes
};

class BpeModel {
 public:
  // byte_ids[b]: id of the token that is the single byte b, -1 for none. A byte without a token becomes U+FFFD where it
  // can be no part of UTF-8 (DeepSeek-V2 has none of these); else the unknown token stands for it, or it is left out,
  // as the reference does. Merges of equal pairs: the last one counts. whole_pieces: if not empty, a piece found there
  // is that one token (ignore_merges).
  BpeModel(const std::array<std::int32_t, 256>& byte_ids, const std::vector<Merge>& merges, IdsByText whole_pieces,
           UnknownToken unknown);

  // Appends the ids of `piece` to `out`. The cache is the caller's and of this model only; nullptr for none.
  void encode(std::string_view piece, std::vector<std::int32_t>& out, WordCache* cache) const;

 private:
  static constexpr std::uint32_t kNoRank = 0xFFFFFFFF;
  struct Slot {
    std::uint64_t pair = ~std::uint64_t{0};
    std::uint32_t rank = kNoRank;
    std::int32_t result = -1;
  };

  Slot find(std::int32_t left, std::int32_t right) const;
  void insert(const Slot& slot);
  std::vector<std::int32_t> known_ids(std::string_view piece) const;
  // Merges n tokens; id_at(i) is the i-th of them.
  template <class IdAt>
  void merge(std::size_t n, IdAt id_at, std::vector<std::int32_t>& out) const;
  template <class IdAt>
  void merge_short(std::size_t n, IdAt id_at, std::vector<std::int32_t>& out) const;
  template <class IdAt>
  void merge_long(std::size_t n, IdAt id_at, std::vector<std::int32_t>& out) const;

  std::array<std::int32_t, 256> byte_ids_;
  bool bytes_missing_ = false;
  std::vector<Slot> slots_;  // open addressing, a power of two, at most half full
  unsigned shift_ = 0;
  IdsByText whole_pieces_;
  UnknownToken unknown_;
};

}  // namespace hadal::text
