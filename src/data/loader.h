// Training rows from token shards: documents in a keyed random order, packed without waste, mixed from several sources.
// A row is T + 1 tokens; the next row of a source begins with the last token of the one before, so that every token is
// predicted once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/shard.h"

namespace hadal::data {

struct LoaderOptions {
  std::vector<std::filesystem::path> folders;
  std::vector<double> weights;  // one a folder; empty: by number of tokens
  std::vector<double> epochs;   // most epochs of each folder; empty: no bound
  std::int64_t sequence_length = 0;
  std::uint64_t seed = 0;
};

struct Row {
  std::vector<std::int32_t> tokens;     // T + 1
  std::vector<std::int32_t> documents;  // where documents start inside the row; the first is always 0
};

class Loader {
 public:
  // Throws Error for folders that cannot be read or differ in their tokenizer.
  explicit Loader(const LoaderOptions& options);
  // Throws Error when every source has reached its epochs.
  Row next();
  std::string state() const;               // JSON
  void restore(const std::string& state);  // Throws Error for a state of other data
  std::uint64_t tokens() const;            // in all sources, once
  std::uint64_t tokenizer_hash() const { return sources_.front().shards.front().info().tokenizer_hash; }

 private:
  struct Document {
    std::uint32_t shard, document;
  };
  // Where the next token of a source lies: document number `place` of the epoch's order, token `offset` in it.
  struct Cursor {
    std::uint64_t epoch = 0, place = 0, offset = 0;
  };
  struct Source {
    std::vector<Shard> shards;
    std::vector<Document> order;  // of epoch `ordered`
    std::uint64_t ordered = ~std::uint64_t{0};
    double weight = 1, epochs = 0;
    Cursor cursor;
    std::uint64_t tokens() const;
  };
  std::size_t choose() const;
  void arrange(Source& source, std::size_t number) const;

  LoaderOptions options_;
  std::vector<Source> sources_;
  std::uint64_t row_ = 0;
};

// Every token of a folder once, in the order of the files: rows of T + 1 tokens, the last one shorter (2 tokens at
// least).
std::vector<std::vector<std::int32_t>> rows_in_order(const std::filesystem::path& folder, std::int64_t sequence_length);

}  // namespace hadal::data
