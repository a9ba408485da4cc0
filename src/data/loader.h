// Training rows from token shards: documents in a keyed random order, transformed (FIM, splitting), packed without
// waste, mixed from several sources.
// A row is T + 1 tokens; the next row of a source begins with the last token of the one before, so that every token is
// predicted once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/shard.h"
#include "data/transform.h"

namespace hadal::data {

struct LoaderOptions {
  std::vector<std::filesystem::path> folders;
  std::vector<double> weights;  // one a folder; empty: by number of tokens
  std::vector<double> epochs;  // most epochs of each folder, 0 or empty: no bound; 1.5 ends in the middle of the second
  std::int64_t sequence_length = 0;
  std::uint64_t seed = 0;
  std::shared_ptr<const DocumentTransform> transform;  // null: none
  std::int32_t vocab_size = 0;                         // all ids must be below; 0: not looked at
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
  double most_tokens() const;              // what the epochs allow, before any transformation; infinite without bound
  std::uint64_t tokenizer_hash() const { return sources_.front().shards.front().info().tokenizer_hash; }

 private:
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};
  struct Document {
    std::uint32_t shard, document;
  };
  // Where the next token of a source lies: document number `place` of the epoch's order, token `offset` in it as
  // transformed.
  struct Cursor {
    std::uint64_t epoch = 0, place = 0, offset = 0;
  };
  struct Source {
    std::vector<Shard> shards;
    std::vector<Document> order;        // of epoch `ordered`
    std::vector<std::uint64_t> before;  // tokens before each place of the order
    std::uint64_t ordered = kNone;
    std::vector<std::int32_t> document;  // at `loaded_place` of epoch `loaded_epoch`, transformed
    std::uint64_t loaded_epoch = kNone, loaded_place = kNone;
    double weight = 1, epochs = 0;
    Cursor cursor;
    std::uint64_t tokens() const;
    std::uint64_t checksum() const;  // of all shards
  };
  std::size_t choose();
  bool open(std::size_t number);
  void arrange(std::size_t number, std::uint64_t epoch);
  const std::vector<std::int32_t>& document(std::size_t number, const Cursor& at);

  LoaderOptions options_;
  std::vector<Source> sources_;
  std::uint64_t row_ = 0;
};

// Every token of a folder once, in the order of the files: rows of T + 1 tokens, the last one shorter (2 tokens at
// least).
std::vector<std::vector<std::int32_t>> rows_in_order(const std::filesystem::path& folder, std::int64_t sequence_length);

}  // namespace hadal::data
