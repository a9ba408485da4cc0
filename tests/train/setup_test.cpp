// What a recipe names, opened: training and held-out shards that do not fit the tokenizer are refused before a run.
#include "train/setup.h"

#include <gtest/gtest.h>

#include "data/prepare.h"
#include "data/shard_writer.h"
#include "support/temp_folder.h"

namespace hadal::train {
namespace {

using test::error_of;
using test::TempFolder;

TEST(Setup, ShardsOfAnotherTokenizerOrWithOtherIdsAreRefused) {
  const TempFolder f;
  const std::string folder = std::string(HADAL_TEST_DATA) + "/text/tokenizers/tiny_deepseek_v3";
  const text::Tokenizer tokenizer = text::Tokenizer::load(folder);
  const std::uint64_t hash = data::tokenizer_hash(folder);
  const auto write = [&](const std::string& name, std::int32_t last, std::uint64_t made_with) {
    data::ShardWriter writer(f / name, tokenizer.vocab_size() + 1, made_with);
    std::vector<std::int32_t> ids(100, 1);
    ids.back() = last;
    writer.add(ids, 100);
    writer.finish();
  };
  const std::int32_t vocab = tokenizer.vocab_size();
  write("good", vocab - 1, hash);
  write("high", vocab, hash);
  write("other", 1, hash + 1);
  Recipe r;
  r.data.tokenizer = folder;
  r.data.sequence_length = 8;
  r.train.tokens = 64;
  const auto train_on = [&](const std::string& name) {
    r.data.train = {(f / name).string()};
    return error_of([&] { open_rows(r, tokenizer); });
  };
  const auto hold_out = [&](const std::string& name) {
    return error_of([&] { heldout_rows(r, tokenizer, f / name); });
  };
  EXPECT_EQ(train_on("good"), "");
  EXPECT_EQ(hold_out("good"), "");
  const std::string high = fmt::format("{}: has the token {}: the tokenizer has {}, all must be below",
                                       (f / "high/tokens-00000.bin").string(), vocab, vocab);
  EXPECT_EQ(train_on("high"), "data.train: " + high);
  EXPECT_EQ(hold_out("high"), high);
  const std::string other =
      fmt::format("{}: the token shards were made with another tokenizer than {}", (f / "other").string(), folder);
  EXPECT_EQ(train_on("other"), other);
  EXPECT_EQ(hold_out("other"), other);
}

TEST(Setup, ValidationReadsOneRowMoreThanItNeeds) {
  const TempFolder f;
  const std::string folder = std::string(HADAL_TEST_DATA) + "/text/tokenizers/tiny_deepseek_v3";
  const text::Tokenizer tokenizer = text::Tokenizer::load(folder);
  data::ShardWriter writer(f / "prose", tokenizer.vocab_size(), data::tokenizer_hash(folder));
  for (std::int32_t d = 0; d < 10; ++d) writer.add(std::vector<std::int32_t>(9, d), 9);
  writer.finish();
  Recipe r;
  r.data.tokenizer = folder;
  r.data.heldout = (f / "prose").string() + "/";
  r.data.sequence_length = 8;
  r.validation.rows = 3;
  const ValidationText few = open_validation(r, tokenizer);
  r.validation.full = true;
  const ValidationText all = open_validation(r, tokenizer);
  EXPECT_EQ(few.name, "prose");
  ASSERT_EQ(few.rows.size(), 4u);
  ASSERT_EQ(all.rows.size(), 12u);  // 89 predictions of 90 tokens, 8 a row
  EXPECT_TRUE(std::equal(few.rows.begin(), few.rows.end(), all.rows.begin()));
  EXPECT_EQ(all.rows.back().size(), 2u);
  r.data.heldout.clear();
  EXPECT_TRUE(open_validation(r, tokenizer).rows.empty());
}

}  // namespace
}  // namespace hadal::train
