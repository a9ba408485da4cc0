// Ids and texts of the reference library for the five tiny tokenizers.
#include <gtest/gtest.h>

#include <map>

#include "fixtures.h"
#include "text/tokenizer.h"

namespace hadal::text {
namespace {

// The library sends the added tokens <|norm:é|> and <|raw:é|> through the byte table, where é is the byte E9; ours are
// their own text.
std::string as_library(std::string text) {
  for (const std::string start : {"<|norm:", "<|raw:"}) {
    const std::string ours = start + "é|>";
    for (std::size_t at = text.find(ours); at != std::string::npos; at = text.find(ours, at)) {
      text.replace(at, ours.size(), start + "\uFFFD|>");
    }
  }
  return text;
}

class Encode : public testing::TestWithParam<const char*> {};

TEST_P(Encode, EqualsTheReference) {
  const std::string name = GetParam();
  const Tokenizer tokenizer = Tokenizer::load(data_path("tokenizers/" + name));
  EXPECT_EQ(tokenizer.vocab_size(), 2048);
  EXPECT_TRUE(tokenizer.warnings().empty());
  std::map<std::string, int> kinds;
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
    EXPECT_EQ(as_library(tokenizer.decode(ids)), record.at("decoded").get<std::string>()) << where();
    EXPECT_EQ(as_library(tokenizer.decode(ids_special, true)), record.at("decoded_skip_special").get<std::string>())
        << where();
  }
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
