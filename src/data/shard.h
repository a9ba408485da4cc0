// Token shards: one file holds the tokens of many documents, each ended by the tokenizer's EOS (shard_format.h has the
// bytes; shard_writer.h writes them).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "data/checksum.h"
#include "data/kept_file.h"

namespace hadal::data {

struct ShardInfo {
  std::uint64_t tokens = 0, documents = 0, text_bytes = 0, tokenizer_hash = 0, checksum = 0;
  std::uint32_t token_bytes = 2, number = 0, count = 1;  // shard `number` of the `count` that were written together
  std::uint32_t max_token = 0;
};

// Documents are read, not mapped: a file that is cut or written to while a run is on gives an Error, not a signal and
// no other tokens; one that is removed stays readable.
class Shard {
 public:
  // Checks size, checksum and offsets. Throws Error naming the file and what is wrong.
  explicit Shard(const std::filesystem::path& path);
  const ShardInfo& info() const { return info_; }
  // At least 1.
  std::uint64_t document_length(std::uint64_t document) const {
    return (*offsets_)[document + 1] - (*offsets_)[document];
  }
  // Tokens [from, from + count) of a document, which must have them. Throws Error if the file can no longer be read or
  // was written to since it was opened.
  std::vector<std::int32_t> tokens(std::uint64_t document, std::uint64_t from, std::uint64_t count) const;
  std::vector<std::int32_t> document(std::uint64_t document) const {
    return tokens(document, 0, document_length(document));
  }
  const std::filesystem::path& path() const { return file_->path(); }
  // Throws Error unless all ids are below vocab_size.
  void check_ids(std::int32_t vocab_size) const;

 private:
  void check_unchanged() const;
  std::shared_ptr<KeptFile> file_;  // closed with the last copy
  std::shared_ptr<const std::vector<std::uint64_t>> offsets_;
  ShardInfo info_;
};

// All shards of a folder, in order. Throws Error if there is none, if one is missing or unfinished, or if they were not
// written together.
std::vector<Shard> open_shards(const std::filesystem::path& folder);

}  // namespace hadal::data
