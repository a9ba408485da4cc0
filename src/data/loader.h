// Training rows from token shards: spans of documents in a keyed random order, transformed (FIM, splitting), packed,
// and mixed from several sources. Without a transformation every token is predicted once an epoch, from the tokens
// before it in its document. A row is T + 1 tokens of one source. A span of T tokens, with the token before it, has a
// row to itself; shorter ones (ends of documents, short documents) are packed together in the order they come, and go
// on in the next such row where one ends. A source ends an epoch before it begins rows of the next: only the row that
// the epoch ends in has tokens of both.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/row_packer.h"
#include "data/spans.h"
#include "data/transform.h"

namespace hadal {
class JsonField;
}

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

class Loader {
 public:
  // Throws Error for folders that cannot be read or differ in their tokenizer.
  explicit Loader(const LoaderOptions& options);
  // Throws Error when every source has reached its epochs, or data can no longer be read; then nothing has moved.
  Row next();
  std::string state() const;               // JSON
  void restore(const std::string& state);  // Throws Error for a state of other data
  std::uint64_t tokens() const;            // in all sources, once
  // What the epochs allow, before any transformation; infinite without bound. There are rows for as many targets.
  double most_tokens() const;
  std::uint64_t tokenizer_hash() const { return sources_.front().spans.shards().front().info().tokenizer_hash; }

 private:
  // Where a source stands: the next span to be taken, and the pieces of earlier ones that wait for their row.
  struct Position {
    std::uint64_t epoch = 0, place = 0;
    std::uint64_t read = 0;  // tokens of the epoch in the spans before `place`, before any transformation
    RowPacker packer;
  };
  struct Source {
    Spans spans;
    double weight = 1, epochs = 0;
    Position position;
    bool closed(const Position& at) const;  // has reached its epochs
  };
  std::size_t choose();
  Row fill(std::size_t number, Position& at) const;
  Piece piece(std::size_t number, std::uint64_t epoch, std::uint64_t place) const;
  std::uint64_t span_at(std::size_t number, std::uint64_t epoch, std::uint64_t place) const;
  void advance(std::size_t number, Position& at) const;
  void restore(std::size_t number, const JsonField& state);

  LoaderOptions options_;
  std::vector<Source> sources_;
  std::uint64_t row_ = 0;
};

// Every token of a folder once, in the order of the files: rows of T + 1 tokens, the last one shorter (2 tokens at
// least). most_rows 0: all.
std::vector<std::vector<std::int32_t>> rows_in_order(const std::vector<Shard>& shards, std::int64_t sequence_length,
                                                     std::int64_t most_rows = 0);

}  // namespace hadal::data
