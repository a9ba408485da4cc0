// Merge lists of the reference's trainer, in order, and what a trained tokenizer's files give back.
#include <gtest/gtest.h>

#include "base/error.h"
#include "fixtures.h"
#include "text/bpe_trainer.h"
#include "text/byte_table.h"
#include "text/tokenizer.h"

namespace hadal::text {
namespace {

TrainOptions plain(int vocab_size, int min_frequency) {
  TrainOptions options;
  options.vocab_size = vocab_size;
  options.min_frequency = min_frequency;
  options.first_tokens.clear();
  options.last_tokens.clear();
  return options;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size() - 1) + 1;
    lines.push_back(text.substr(start, end - start));
    start = end;
  }
  return lines;
}

void expect_merges(const TrainedBpe& trained, const json& expected, const std::string& name) {
  const auto merges = expected.at("merges").get<std::vector<std::vector<std::string>>>();
  const auto counts = expected.at("counts").get<std::vector<std::int64_t>>();
  ASSERT_EQ(trained.merges.size(), merges.size()) << name;
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const TrainedMerge& merge = trained.merges[i];
    ASSERT_EQ(to_byte_characters(merge.left), merges[i][0]) << name << " merge " << i;
    ASSERT_EQ(to_byte_characters(merge.right), merges[i][1]) << name << " merge " << i;
    ASSERT_EQ(merge.count, counts[i]) << name << " merge " << i;
  }
}

TEST(Trainer, FindsTheReferencesMerges) {
  const std::string corpus = read_file(data_path("bpe/corpus.txt"));
  for (const int size : {512, 1024}) {
    for (const std::string feed : {"whole", "lines"}) {
      const std::string name = "merges_" + std::to_string(size) + "_" + feed;
      const std::vector<std::string> texts = feed == "whole" ? std::vector{corpus} : lines_of(corpus);
      BpeTrainer trainer(plain(size, 2)), shuffled(plain(size, 2)), chunks(plain(size, 2));
      for (const std::string& text : texts) {
        trainer.add_text(text);
        for (std::size_t at = 0; at < text.size(); at += 1000) chunks.push(std::string_view(text).substr(at, 1000));
        chunks.end_text();
      }
      for (std::size_t i = texts.size(); i-- > 0;) shuffled.add_text(texts[i]);
      const json expected = read_json(data_path("bpe/" + name + ".json"));
      expect_merges(trainer.train(), expected, name);
      expect_merges(chunks.train(), expected, name + " in chunks");
      expect_merges(shuffled.train(), expected, name + " backwards");
    }
  }
}

// A document in parts, cut anywhere, and documents shared out over trainers, give what the whole gives.
TEST(Trainer, PartsAndSharesGiveTheSameMerges) {
  const std::string corpus = read_file(data_path("bpe/corpus.txt"));
  const std::vector<std::string> lines = lines_of(corpus);
  const json expected = read_json(data_path("bpe/merges_1024_whole.json"));
  for (const std::size_t size : {std::size_t{1}, std::size_t{7}, std::size_t{1000}, std::size_t{1} << 20}) {
    BpeTrainer trainer(plain(1024, 2));
    for (std::size_t at = 0; at < corpus.size(); at += size) trainer.push(std::string_view(corpus).substr(at, size));
    trainer.end_text();
    expect_merges(trainer.train(), expected, "parts of " + std::to_string(size));
  }
  BpeTrainer even(plain(1024, 2)), odd(plain(1024, 2));
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i % 3 == 0) {
      odd.add_text(lines[i]);
    } else {
      even.push(lines[i]);
      even.end_text();
    }
  }
  even.add_counts_of(odd);
  expect_merges(even.train(), read_json(data_path("bpe/merges_1024_lines.json")), "two trainers");
}

TEST(Trainer, AWordThatDoesNotEndIsAnError) {
  BpeTrainer trainer(plain(1024, 2));
  const std::string letters(1 << 20, 'a');
  EXPECT_THROW(
      {
        for (int i = 0; i < 20; ++i) trainer.push(letters);
      },
      Error);
}

TEST(Trainer, EdgeCases) {
  const json cases = read_json(data_path("bpe/edge_cases.json"));
  EXPECT_EQ(cases.size(), 15u);
  for (const json& one : cases) {
    BpeTrainer trainer(plain(one.at("vocab_size"), one.at("min_frequency")));
    for (const json& text : one.at("items")) trainer.add_text(text.get<std::string>());
    expect_merges(trainer.train(), one, one.at("name"));
  }
}

TEST(Trainer, SavedTokenizerLoadsWithDeepSeeksTokens) {
  const fs::path dir = temporary_path("hadal_trained_tokenizer");
  TrainOptions options;
  options.vocab_size = 600;
  std::int64_t last = 0;
  options.progress = [&](const TrainProgress& progress) { last = progress.done; };
  BpeTrainer trainer(options);
  const std::string corpus = read_file(data_path("bpe/corpus.txt"));
  trainer.add_text(corpus);
  EXPECT_EQ(trainer.train_and_save(dir).vocab_size, 600);
  EXPECT_EQ(last, 600 - 266);

  const Tokenizer tokenizer = Tokenizer::load(dir);
  EXPECT_TRUE(tokenizer.warnings().empty());
  EXPECT_EQ(tokenizer.vocab_size(), 600);
  EXPECT_EQ(tokenizer.bos_id(), 0);
  EXPECT_EQ(tokenizer.eos_id(), 1);
  EXPECT_EQ(tokenizer.pad_id(), 2);
  EXPECT_EQ(tokenizer.token_id("<think>"), 593);
  EXPECT_EQ(tokenizer.token_id("<｜fim▁end｜>"), 599);
  EXPECT_TRUE(tokenizer.is_special(0));
  EXPECT_FALSE(tokenizer.is_special(593));
  EXPECT_TRUE(tokenizer.is_added(593));
  EXPECT_EQ(tokenizer.token_bytes(3), "!");
  EXPECT_EQ(tokenizer.encode("<think>"), std::vector<std::int32_t>{593});
  const std::vector<std::int32_t> ids = tokenizer.encode(corpus);
  EXPECT_LT(ids.size() * 5, corpus.size() * 3);
  EXPECT_EQ(tokenizer.decode(ids), corpus);
  fs::remove_all(dir);
}

TEST(Trainer, MergesStopWhereTheTextsEnd) {
  TrainOptions options;
  options.vocab_size = 5000;
  BpeTrainer trainer(options);
  trainer.add_text("abc abc abc");
  const TrainedBpe trained = trainer.train();
  EXPECT_EQ(trained.merges.size(), 3u);  // "ab", "abc", " abc"
  EXPECT_EQ(trained.vocab_size, 266 + 3);
}

TEST(Trainer, RefusesWhatCannotBe) {
  const auto error = [](TrainOptions options) -> std::string {
    try {
      BpeTrainer trainer(std::move(options));
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  TrainOptions options;
  options.vocab_size = 265;
  EXPECT_EQ(error(options), "vocab_size 265 is too small: 256 bytes and 10 special tokens need 266");
  options.vocab_size = 300;
  options.min_frequency = 0;
  EXPECT_EQ(error(options), "min_frequency 0 must be 1 or more");
  options.min_frequency = 2;
  options.last_tokens.push_back("<think>");
  EXPECT_EQ(error(options), "the special token <think> is named twice");
}

}  // namespace
}  // namespace hadal::text
