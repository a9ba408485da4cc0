// Text files to token shards.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/documents.h"
#include "text/tokenizer.h"

namespace hadal::data {

struct PrepareOptions {
  ReadOptions read;
  double validation_share = 0;  // of the text, into the folder "validation" inside the output (validation_split.h)
  std::uint64_t seed = 0;       // of that choice
  bool replace = false;         // an output folder that exists
  int threads = 1;              // any number gives the same shards
  // Called with the bytes of all files read so far, before unpacking; may throw to stop.
  std::function<void(std::uint64_t)> progress;
};

struct Prepared {
  struct Part {
    std::uint64_t documents = 0, tokens = 0, text_bytes = 0;
  };
  Part training, validation;
  ReadCounts read;
};

// Encodes every document as text (control tokens spelled in it are plain text), ends each with the tokenizer's EOS,
// writes shards to the folder `out`, which appears when all is done. Throws Error, for an empty corpus, too; then
// nothing is left.
Prepared prepare(const Inputs& inputs, const text::Tokenizer& tokenizer, std::uint64_t tokenizer_hash,
                 const std::filesystem::path& out, const PrepareOptions& options);

// Tokenizer::fingerprint of a folder's tokenizer.
std::uint64_t tokenizer_hash(const std::filesystem::path& tokenizer_dir);

}  // namespace hadal::data
