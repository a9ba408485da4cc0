// Ids and texts of the reference library for the five tiny tokenizers.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "fixtures.h"
#include "text/byte_table.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace hadal::text {
namespace {

// The library sends added tokens through the byte table when it decodes: é (the byte E9) of tiny_qwen2's <|norm:é|>
// becomes U+FFFD. Ours print as their own text.
std::string library_text(const Tokenizer& tokenizer, const std::vector<std::int32_t>& ids, bool skip_special) {
  std::string bytes;
  for (const std::int32_t id : ids) {
    if (skip_special && tokenizer.is_special(id)) continue;
    const std::string token(tokenizer.token_bytes(id));
    bytes += tokenizer.is_added(id) ? from_byte_characters(token).value_or(token) : token;
  }
  return lossy_utf8(bytes);
}

class Encode : public testing::TestWithParam<const char*> {};

TEST_P(Encode, EqualsTheReference) {
  const std::string name = GetParam();
  const Tokenizer tokenizer = Tokenizer::load(data_path("tokenizers/" + name));
  EXPECT_EQ(tokenizer.vocab_size(), 2048);
  EXPECT_TRUE(tokenizer.warnings().empty());
  std::map<std::string, int> kinds;
  int exempt = 0;
  WordCache cache(64);
  for (const json& record : read_lines("encode/" + name + ".jsonl")) {
    const std::string text = record.at("text");
    const std::vector<std::int32_t> ids = record.at("ids"), ids_special = record.at("ids_special");
    ++kinds[record.at("kind")];
    const auto where = [&] { return name + " " + record.at("n").dump() + " " + record.at("text").dump(); };
    EXPECT_EQ(tokenizer.encode(text), ids) << where();
    EXPECT_EQ(tokenizer.encode(text, true), ids_special) << where();
    std::vector<std::int32_t> cached;
    tokenizer.encode_to(text, false, cache, cached);
    EXPECT_EQ(cached, ids) << where();
    const bool accent = std::any_of(ids.begin(), ids.end(), [&](std::int32_t id) {
      return tokenizer.is_added(id) && tokenizer.token_bytes(id).find("é") != std::string_view::npos;
    });
    exempt += accent;
    if (!accent) {
      EXPECT_EQ(tokenizer.decode(ids), record.at("decoded").get<std::string>()) << where();
      EXPECT_EQ(tokenizer.decode(ids_special, true), record.at("decoded_skip_special").get<std::string>()) << where();
    }
    EXPECT_EQ(library_text(tokenizer, ids, false), record.at("decoded").get<std::string>()) << where();
    EXPECT_EQ(library_text(tokenizer, ids_special, true), record.at("decoded_skip_special").get<std::string>())
        << where();
  }
  EXPECT_LE(exempt, 12);
  EXPECT_EQ(kinds.size(), 27u);
  EXPECT_EQ(kinds["unicode-15-or-later"], 9);
}

INSTANTIATE_TEST_SUITE_P(Tiny, Encode, testing::ValuesIn(kTinyTokenizers), [](const auto& name) { return name.param; });

TEST(StreamDecode, PrintsWhatTheReferencePrints) {
  std::map<std::string, std::optional<Tokenizer>> tokenizers;
  int records = 0;
  for (const json& record : read_lines("stream_decode.jsonl")) {
    const std::string name = record.at("tokenizer");
    std::optional<Tokenizer>& tokenizer = tokenizers[name];
    if (!tokenizer) tokenizer = Tokenizer::load(data_path("tokenizers/" + name));
    const bool skip = record.at("skip_special");
    const std::vector<std::int32_t> ids = record.at("ids");
    StreamDecoder decoder(*tokenizer, skip);
    std::vector<std::string> pieces;
    pieces.reserve(ids.size());
    for (const std::int32_t id : ids) pieces.push_back(decoder.push(id));
    EXPECT_EQ(pieces, record.at("pieces").get<std::vector<std::string>>()) << record.dump();
    EXPECT_EQ(decoder.finish(), record.at("final").get<std::string>()) << record.dump();
    EXPECT_EQ(tokenizer->decode(ids, skip), record.at("text").get<std::string>()) << record.dump();
    ++records;
  }
  EXPECT_EQ(records, 106);
}

}  // namespace
}  // namespace hadal::text
