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

}  // namespace hadal::data
