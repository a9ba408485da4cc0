// Writes documents of tokens as shards. Tokens go to the disk as they come, to a file of their own until the shard's
// offsets, which stand before them, are known: memory holds a buffer and the offsets of one shard's documents, however
// long a document is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "data/shard_format.h"

namespace hadal::data {

// Shards of a folder: tokens-00000.bin, ... A document lies in one shard; a shard ends with the document that brings it
// to `max_tokens`. Until finish() returns, what is there is marked as unfinished and refused by open_shards().
class ShardWriter {
 public:
  // Makes the folder. Throws Error if that fails or if it has shards already.
  ShardWriter(std::filesystem::path folder, std::int32_t vocab_size, std::uint64_t tokenizer_hash,
              std::uint64_t max_tokens = 1u << 26);
  ~ShardWriter();
  ShardWriter(const ShardWriter&) = delete;
  ShardWriter& operator=(const ShardWriter&) = delete;

  // More tokens of the present document; text_bytes: of the text that they stand for.
  void append(std::span<const std::int32_t> tokens, std::uint64_t text_bytes);
  void end_document();  // without tokens there is no document
  void add(std::span<const std::int32_t> document, std::uint64_t text_bytes) {
    append(document, text_bytes);
    end_document();
  }
  // The document that was begun must have ended. All is on the disk when this returns.
  void finish();
  std::uint64_t tokens() const { return total_tokens_; }
  std::uint64_t documents() const { return total_documents_; }
  std::uint64_t text_bytes() const { return total_text_bytes_; }

 private:
  std::filesystem::path path(std::size_t number) const;
  std::filesystem::path tokens_path() const;  // of the open shard's tokens
  void open_shard();
  void close_shard();
  void put(const void* data, std::size_t bytes);
  void flush();
  void complete(std::size_t number);

  std::filesystem::path folder_;
  std::int32_t vocab_size_;
  std::uint64_t max_tokens_, total_tokens_ = 0, total_documents_ = 0, total_text_bytes_ = 0;
  ShardHeader header_{};              // of the shard that is open
  std::vector<ShardHeader> written_;  // of the others; checksum holds that of the body
  std::vector<std::uint64_t> offsets_;
  std::vector<std::byte> buffer_;
  std::vector<std::uint16_t> narrow_;
  int fd_ = -1;  // of the file that is being written
};

}  // namespace hadal::data
