// The bytes of a token shard, for the one who writes and the one who reads (little endian):
//   Header; u64 offset[documents + 1], in tokens, rising from 0 to `tokens`; u16 or u32 token[tokens].
#pragma once

#include <cstdint>
#include <span>

#include "data/checksum.h"

namespace hadal::data {

inline constexpr char kShardMagic[8] = {'H', 'A', 'D', 'A', 'L', 'T', 'O', 'K'};
inline constexpr std::uint32_t kShardVersion = 2;

struct ShardHeader {
  char magic[8];
  std::uint32_t version, token_bytes;  // 2 or 4 bytes per token
  std::uint64_t tokens, documents, text_bytes, tokenizer_hash;
  std::uint32_t number, count;  // this is shard `number` of `count`; count is 0 until the whole folder is written
  std::uint64_t checksum;       // of the rest of the header and of all that follows it
};
static_assert(sizeof(ShardHeader) == 64);

// What header.checksum must be; `body` is the Checksum of all bytes after the header.
inline std::uint64_t shard_checksum(ShardHeader header, std::uint64_t body) {
  header.checksum = body;
  return hash_bytes(std::as_bytes(std::span(&header, 1)));
}

}  // namespace hadal::data
