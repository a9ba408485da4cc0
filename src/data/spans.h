// Documents in spans of at most one training row: what is shuffled, transformed and packed, so that no document,
// however long, has a batch to itself. A span has the tokens that are to be predicted in it, and before them one that
// is only read: the last token of the span before it, or, where its document begins, the token that ends documents.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "data/shard.h"
#include "data/transform.h"

namespace hadal::data {

struct Span {
  std::vector<std::int32_t> tokens;  // the first is context alone; each other one is predicted
  // Where another document begins inside, counted in `tokens`; context: the token there is context alone, too.
  struct Start {
    std::size_t at = 0;
    bool context = false;
  };
  std::vector<Start> starts;
  bool begins = false, ends = false;  // a document begins with tokens[1], ends with the last token
};

// All documents of a folder of shards, cut.
class Spans {
 public:
  // length: most predicted tokens of a span. Throws Error for shards that cannot be read.
  Spans(const std::filesystem::path& folder, std::int64_t length);

  std::uint64_t size() const { return before_.back(); }
  std::uint64_t tokens() const { return tokens_; }
  std::uint64_t checksum() const;  // of all shards
  const std::vector<Shard>& shards() const { return shards_; }

  // Predicted tokens of span `number`, before any transformation.
  std::uint64_t length(std::uint64_t number) const;
  // The span itself; transform, if not null, acts on it with `key`. Ids below vocab_size (0: not looked at).
  // Throws Error if its shard can no longer be read.
  Span read(std::uint64_t number, std::int32_t vocab_size, const DocumentTransform* transform, std::uint64_t key) const;

 private:
  // Tokens [begin, end) of a document of `whole` tokens.
  struct Place {
    std::size_t shard = 0;
    std::uint64_t document = 0, begin = 0, end = 0, whole = 0;
  };
  Place place(std::uint64_t number) const;
  std::vector<std::int32_t> tokens_of(const Place& p, std::uint64_t begin, std::uint64_t end,
                                      std::int32_t vocab_size) const;

  std::uint64_t length_, tokens_ = 0;
  std::vector<Shard> shards_;
  std::vector<std::uint64_t> documents_before_;  // each shard's first document, counted over all; then all documents
  std::vector<std::uint64_t> before_;            // each document's first span; then all spans
};

}  // namespace hadal::data
