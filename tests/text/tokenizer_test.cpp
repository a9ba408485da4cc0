// What a tokenizer.json may and may not say; any bytes; several threads.
#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "base/threads.h"
#include "fixtures.h"

namespace hadal::text {
namespace {

class Files : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = temporary_path("hadal_tokenizer_test");
    fs::create_directories(dir_);
    file_ = read_json(data_path("tokenizers/tiny_gpt2/tokenizer.json"));
  }
  void TearDown() override { fs::remove_all(dir_); }

  Tokenizer load() {
    write_file_atomically(dir_ / "tokenizer.json", file_.dump());
    return Tokenizer::load(dir_);
  }
  std::string error() {
    try {
      load();
    } catch (const Error& e) {
      const std::string text = e.what(), path = (dir_ / "tokenizer.json").string();
      EXPECT_EQ(text.substr(0, path.size()), path);
      EXPECT_EQ(text.find('\n'), std::string::npos);
      return text.substr(path.size());
    }
    return "no error";
  }

  fs::path dir_;
  json file_;
};

TEST_F(Files, MissingAndBrokenFilesAreNamed) {
  EXPECT_THROW(Tokenizer::load(dir_ / "nothing"), Error);
  write_file_atomically(dir_ / "tokenizer.json", "{\"model\":");
  EXPECT_THROW(Tokenizer::load(dir_), Error);
  file_ = json::array();
  EXPECT_EQ(error(), ": the file must be an object");
}

TEST_F(Files, UnsupportedPartsAreNamed) {
  const json good = file_;
  const auto with = [&](const char* pointer, json value) {
    file_ = good;
    file_[json::json_pointer(pointer)] = std::move(value);
    return error();
  };
  EXPECT_EQ(with("/model/type", "Unigram"), ": model Unigram is not supported; supported: BPE");
  EXPECT_EQ(with("/model/dropout", 0.1), ": model.dropout is not supported; it must be null");
  EXPECT_EQ(with("/model/end_of_word_suffix", "</w>"), ": model.end_of_word_suffix is not supported; it must be null");
  EXPECT_EQ(with("/model/ignore_merges", 1), ": model.ignore_merges must be true or false");
  EXPECT_EQ(with("/model/vocab", 3), ": model.vocab must be an object");
  EXPECT_EQ(with("/model/vocab/!", -1), ": model.vocab[!] must be an integer from 0 to 16777215");
  EXPECT_EQ(with("/model/vocab/new", 5), ": id 5 belongs to two tokens; one is new");
  EXPECT_EQ(with("/model/merges/0", "a b c"), ": model.merges[0] must be two tokens with one space between them");
  EXPECT_EQ(with("/model/merges/0", 7), ": model.merges[0] must be a string or a pair of strings");
  EXPECT_EQ(with("/model/merges/3", {"q", "zz"}), ": model.merges[3] needs the token zz, which is not in model.vocab");
  EXPECT_EQ(with("/normalizer", {{"type", "Lowercase"}}),
            ": normalizer Lowercase is not supported; supported: null, NFC, Sequence");
  EXPECT_EQ(with("/pre_tokenizer", nullptr),
            ": pre_tokenizer null is not supported; supported: Sequence, Split, Digits, ByteLevel");
  EXPECT_EQ(with("/pre_tokenizer", {{"type", "Metaspace"}}),
            ": pre_tokenizer Metaspace is not supported; supported: Sequence, Split, Digits, ByteLevel");
  EXPECT_EQ(with("/pre_tokenizer", {{"type", "Digits"}}),
            ": pre_tokenizer has no ByteLevel step at its end; only byte-level tokenizers are supported");
  EXPECT_EQ(
      with("/post_processor", {{"type", "BertProcessing"}}),
      ": post_processor BertProcessing is not supported; supported: null, ByteLevel, TemplateProcessing, Sequence");
  const auto adds = [](int id) {
    return json{{"type", "TemplateProcessing"},
                {"single", {{{"SpecialToken", {{"id", "<x>"}}}}, {{"Sequence", {{"id", "A"}}}}}},
                {"special_tokens", {{"<x>", {{"ids", {id}}}}}}};
  };
  EXPECT_EQ(with("/post_processor", adds(999999)), ": post_processor adds the id 999999, which no token has");
  EXPECT_EQ(with("/post_processor", adds(5)), "no error");
  EXPECT_EQ(with("/decoder", {{"type", "WordPiece"}}),
            ": decoder WordPiece is not supported; supported: ByteLevel, Sequence");
  EXPECT_EQ(with("/decoder", {{"type", "Sequence"}, {"decoders", {{{"type", "ByteLevel"}}, {{"type", "ByteLevel"}}}}}),
            ": decoder must be ByteLevel once: it has that step twice");
  EXPECT_EQ(with("/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "[a"}}}, {"behavior", "Isolated"}}),
            ": Split.pattern [a: it has a [ without ]");
  EXPECT_TRUE(with("/model/type", true).starts_with(": model {")) << with("/model/type", true);
  EXPECT_EQ(with("/truncation", true), ": truncation must be null or an object");
  EXPECT_EQ(with("/padding", 3), ": padding must be null or an object");
  EXPECT_EQ(with("/added_tokens/0/lstrip", "yes"), ": added_tokens[0].lstrip must be true or false");
  EXPECT_EQ(with("/added_tokens/0", {{"id", 3}}), ": added_tokens[0] has no content");
}

TEST_F(Files, WarningsGoToTheCaller) {
  file_["truncation"] = {{"max_length", 3}};
  file_["added_tokens"][0]["content"] = "in";  // the vocabulary has it under another id
  write_file_atomically(dir_ / "tokenizer_config.json",
                        R"({"bos_token": "<nowhere>", "eos_token": {"content": "<mask>"}})");
  const Tokenizer tokenizer = load();
  EXPECT_EQ(tokenizer.warnings().size(), 3u);
  EXPECT_EQ(tokenizer.bos_id(), 2047);  // a new one, as in the library
  EXPECT_EQ(tokenizer.eos_id(), tokenizer.token_id("<mask>"));
}

// The library joins "ĠHel", "lo" with spaces, or as they are.
TEST_F(Files, ADecoderWithoutStepsIsRefused) {
  for (const json& decoder : {json(nullptr), json{{"type", "Sequence"}, {"decoders", json::array()}}}) {
    file_["decoder"] = decoder;
    EXPECT_TRUE(error().starts_with(": decoder has no ByteLevel step")) << error();
  }
}

// These two are settings of the library, whose names end as roles do.
TEST_F(Files, AddBosTokenIsNoRole) {
  write_file_atomically(dir_ / "tokenizer_config.json",
                        R"({"add_bos_token": "x", "add_eos_token": "y", "my_token": "<m>"})");
  const Tokenizer tokenizer = load();
  ASSERT_EQ(tokenizer.special_tokens().size(), 1u);
  EXPECT_EQ(tokenizer.special_tokens()[0].role, "my_token");
}

TEST_F(Files, BytesWithoutATokenAreLeftOutOrReplaced) {
  file_["model"]["vocab"].erase("z");
  file_["model"]["vocab"].erase("ÿ");  // stands for byte 255
  json merges = json::array();
  for (const json& merge : file_["model"]["merges"]) {
    if (merge.dump().find('z') == std::string::npos) merges.push_back(merge);
  }
  file_["model"]["merges"] = merges;
  const Tokenizer tokenizer = load();
  ASSERT_EQ(tokenizer.warnings().size(), 1u);
  EXPECT_TRUE(tokenizer.warnings()[0].ends_with("these bytes have no token and are left out of any text: 0x7a"));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(" prozess z \xFF.")), " proess  \uFFFD.");
}

TEST(Tokenizer, NamesOfTokens) {
  const Tokenizer v3 = Tokenizer::load(data_path("tokenizers/tiny_deepseek_v3"));
  EXPECT_EQ(v3.bos_id(), 0);
  EXPECT_EQ(v3.eos_id(), 1);
  EXPECT_EQ(v3.pad_id(), 2);
  EXPECT_EQ(v3.token_id("<think>"), 2031);
  EXPECT_EQ(v3.token_id("no such token"), std::nullopt);
  EXPECT_TRUE(v3.is_special(0) && v3.is_added(0) && !v3.is_special(2031) && v3.is_added(2031) && !v3.is_added(100));
  EXPECT_EQ(v3.token_bytes(-1), "");
  EXPECT_EQ(v3.token_bytes(2048), "");
  EXPECT_FALSE(v3.is_special(2048) || v3.is_special(-1));
  EXPECT_EQ(v3.decode(std::vector<std::int32_t>{-5, 9999, 0}), "<｜begin▁of▁sentence｜>");
  // Without tokenizer_config.json DeepSeek's names count.
  const Tokenizer llama = Tokenizer::load(data_path("tokenizers/tiny_llama3/tokenizer.json"));
  EXPECT_EQ(llama.bos_id(), llama.token_id("<|begin_of_text|>"));
  const fs::path alone = temporary_path("hadal_alone_tokenizer.json");
  write_file_atomically(alone, read_file(data_path("tokenizers/tiny_deepseek_v3/tokenizer.json")));
  EXPECT_EQ(Tokenizer::load(alone).eos_id(), 1);
  fs::remove(alone);
}

std::string random_bytes(std::mt19937& random) {
  static const char* const kParts[] = {" ", "\n",      "word", "<think>", "<｜User", "中文",
                                       "é", "e\u0301", "123",  "'s",      "😀"};
  std::string text;
  for (unsigned n = random() % 60; n > 0; --n) {
    if (random() % 2 == 0) {
      text += kParts[random() % std::size(kParts)];
    } else {
      for (unsigned i = random() % 5; i > 0; --i) text += static_cast<char>(random() % 256);
    }
  }
  if (random() % 20 == 0) text.append(random() % 3000, "x \xE4"[random() % 3]);  // pieces too long for the short path
  return text;
}

TEST(Tokenizer, AnyBytesComeBack) {
  std::mt19937 random(7);
  for (const std::string name : {"tiny_deepseek_v3", "tiny_deepseek_v2", "tiny_llama3"}) {
    const Tokenizer tokenizer = Tokenizer::load(data_path("tokenizers/" + name));
    for (int i = 0; i < 2000; ++i) {
      const std::string text = random_bytes(random);
      const std::vector<std::int32_t> ids = tokenizer.encode(text);
      ASSERT_EQ(tokenizer.decode_bytes(ids), text) << name << " " << i;
      StreamDecoder stream(tokenizer, false);
      std::string streamed;
      for (const std::int32_t id : ids) streamed += stream.push(id);
      ASSERT_EQ(streamed + stream.finish(), tokenizer.decode(ids)) << name << " " << i;
    }
  }
}

TEST(Tokenizer, ShortAndLongPiecesMergeAlike) {
  // The same letters as one piece and after a prefix: the scan and the heap must agree where both apply.
  const Tokenizer tokenizer = Tokenizer::load(data_path("tokenizers/tiny_deepseek_v3"));
  std::mt19937 random(3);
  for (int i = 0; i < 200; ++i) {
    std::string word;
    for (int n = 0; n < 90; ++n) word += "etaoinshr"[random() % 9];
    std::vector<std::int32_t> expected = tokenizer.encode(word);
    // Q merges with nothing before or after it in this vocabulary, so it cuts the long piece without a pre-tokenizer.
    const std::vector<std::int32_t> q = tokenizer.encode("Q");
    ASSERT_EQ(q.size(), 1u);
    const std::vector<std::int32_t> twice = tokenizer.encode(word + "Q" + word);
    std::vector<std::int32_t> joined = expected;
    joined.push_back(q[0]);
    joined.insert(joined.end(), expected.begin(), expected.end());
    ASSERT_EQ(twice, joined) << word;
  }
}

TEST(Tokenizer, ThreadsShareOne) {
  const Tokenizer tokenizer = Tokenizer::load(data_path("tokenizers/tiny_qwen2"));
  const std::vector<json> records = read_lines("encode/tiny_qwen2.jsonl");
  ThreadPool pool(4);
  std::vector<int> wrong(4, 0);
  std::vector<WordCache> caches(4);
  pool.run(static_cast<std::int64_t>(records.size()), [&](std::int64_t task, int worker) {
    const json& record = records[static_cast<std::size_t>(task)];
    std::vector<std::int32_t> ids;
    tokenizer.encode_to(record.at("text").get<std::string>(), false, caches[static_cast<std::size_t>(worker)], ids);
    wrong[static_cast<std::size_t>(worker)] += ids != record.at("ids").get<std::vector<std::int32_t>>();
  });
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

}  // namespace
}  // namespace hadal::text
