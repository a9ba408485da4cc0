// Token shards: one file holds the tokens of many documents, each ended by the tokenizer's EOS.
// Layout (little endian): "HADALTOK", u32 version 1, u32 bytes a token (2 or 4), u64 tokens, u64 documents, u64 text
// bytes, u64 hash of the tokenizer, u64 checksum of all that follows; (documents + 1) u64 token offsets; the tokens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

namespace hadal::data {

struct ShardInfo {
  std::uint64_t tokens = 0, documents = 0, text_bytes = 0, tokenizer_hash = 0, checksum = 0;
  std::uint32_t token_bytes = 2;
};

// Documents are read, not mapped: a file that is cut while a run is on gives an Error, not a signal; one that is
// removed stays readable.
class Shard {
 public:
  // Checks size, checksum and offsets. Throws Error naming the file and what is wrong.
  explicit Shard(const std::filesystem::path& path);
  const ShardInfo& info() const { return info_; }
  // At least 1.
  std::uint64_t document_length(std::uint64_t document) const {
    return (*offsets_)[document + 1] - (*offsets_)[document];
  }
  // Throws Error if the file can no longer be read.
  std::vector<std::int32_t> document(std::uint64_t document) const;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::shared_ptr<const int> fd_;  // closed with the last copy
  std::shared_ptr<const std::vector<std::uint64_t>> offsets_;
  ShardInfo info_;
};

// Collects documents and writes shards of at most `most_tokens` tokens into a folder: tokens-00000.bin, ...
class ShardWriter {
 public:
  ShardWriter(std::filesystem::path folder, std::int32_t vocab_size, std::uint64_t tokenizer_hash,
              std::uint64_t most_tokens = 1u << 26);
  void add(std::span<const std::int32_t> document, std::uint64_t text_bytes);
  void finish();
  std::uint64_t tokens() const { return total_tokens_; }
  std::uint64_t documents() const { return total_documents_; }

 private:
  void flush();
  std::filesystem::path folder_;
  ShardInfo info_;
  std::uint64_t most_tokens_, total_tokens_ = 0, total_documents_ = 0;
  int number_ = 0;
  std::vector<std::uint64_t> offsets_{0};
  std::vector<std::int32_t> tokens_;
};

// All shards of a folder, in order. Throws Error if there is none, or if they are of different tokenizers.
std::vector<Shard> open_shards(const std::filesystem::path& folder);

// Hash of a tokenizer's files, by which shards and training find out that they belong together.
std::uint64_t hash_bytes(std::span<const std::byte> bytes, std::uint64_t seed = 0);

}  // namespace hadal::data
