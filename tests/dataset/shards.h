// Token shards and tokenizers for the tests of src/data.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "data/loader.h"
#include "data/shard_writer.h"
#include "support/temp_folder.h"

namespace hadal::data {

inline text::Tokenizer tokenizer(const std::string& name = "tiny_deepseek_v3") {
  return text::Tokenizer::load(std::string(HADAL_TEST_DATA) + "/text/tokenizers/" + name);
}

// One folder with these documents, each ended by the tokenizer's EOS.
inline void write_texts(const std::filesystem::path& folder, const std::vector<std::string>& texts,
                        const text::Tokenizer& t) {
  ShardWriter writer(folder, t.vocab_size(), 1);
  for (const std::string& text : texts) {
    std::vector<std::int32_t> ids = t.encode(text);
    ids.push_back(t.eos_id().value_or(-1));
    writer.add(ids, text.size());
  }
  writer.finish();
}

// A folder of documents whose tokens are first, first + 1, ...: every token of the folder is another one.
inline void write_numbers(const std::filesystem::path& folder, std::int32_t first, const std::vector<int>& lengths,
                          std::uint64_t most_tokens = 1u << 26) {
  ShardWriter writer(folder, 100000, 1, most_tokens);
  for (const int length : lengths) {
    std::vector<std::int32_t> ids(static_cast<std::size_t>(length));
    for (std::int32_t& id : ids) id = first++;
    writer.add(ids, ids.size());
  }
  writer.finish();
}

// Texts with much to split, so that every document changes its length.
inline std::vector<std::string> texts(int n) {
  std::vector<std::string> all;
  all.reserve(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) {
    all.push_back(fmt::format("Item {}: one.\nTwo (three);\n\nFour, \"five\".\n{}", i,
                              std::string(static_cast<std::size_t>(i % 7), '!')));
  }
  return all;
}

// The text of a document of tokens, a turned one put back in order.
inline std::string straightened(const text::Tokenizer& t, const std::vector<std::int32_t>& document, bool& turned) {
  const std::string begin = "<｜fim▁begin｜>", hole = "<｜fim▁hole｜>", end = "<｜fim▁end｜>";
  const std::string text = t.decode_bytes(document);
  turned = text.starts_with(begin);
  if (!turned) return text;
  const auto h = text.find(hole), e = text.find(end);
  return text.substr(begin.size(), h - begin.size()) + text.substr(e + end.size()) +
         text.substr(h + hole.size(), e - h - hole.size());
}

}  // namespace hadal::data
