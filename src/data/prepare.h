// Text files to token shards: .txt (a file is a document), .jsonl and .jsonl.zst (a line is a document, key "text").
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace hadal::data {

// Calls f for every document; a text may hold any bytes. Throws Error naming file and line. bytes: how much was read.
void read_documents(const std::filesystem::path& file, const std::function<void(std::string_view text)>& f);

struct Prepared {
  std::uint64_t documents = 0, tokens = 0, text_bytes = 0;
};

// Encodes every document as text (control tokens spelled in it are plain text), ends each with the tokenizer's EOS,
// writes shards to `out`. Throws Error for an empty corpus.
// progress: called with the bytes read so far.
Prepared prepare(const std::vector<std::filesystem::path>& inputs, const text::Tokenizer& tokenizer,
                 std::uint64_t tokenizer_hash, const std::filesystem::path& out,
                 const std::function<void(std::uint64_t)>& progress);

std::uint64_t tokenizer_hash(const std::filesystem::path& tokenizer_dir);

}  // namespace hadal::data
