// The loader: every token once an epoch, packing, mixtures, epochs, transformed documents, positions that resume to the
// token, and data that changes or goes while a run is on.
#include "data/loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>

#include "shards.h"

namespace hadal::data {
namespace {

using test::error_of;
using test::TempFolder;

// Tokens of n rows without the one each row shares with the next row of its source.
std::vector<std::int32_t> read(Loader& loader, int rows) {
  std::vector<std::int32_t> all;
  for (int i = 0; i < rows; ++i) {
    const Row row = loader.next();
    all.insert(all.end(), row.tokens.begin(), row.tokens.end() - 1);
  }
  return all;
}

TEST(Loader, EveryTokenOnceAnEpochInWholeDocuments) {
  const TempFolder f;
  write_numbers(f / "a", 0, {7, 1, 12, 3, 40, 2, 15}, 20);  // 80 tokens in several shards
  Loader loader({.folders = {f / "a"}, .sequence_length = 8, .seed = 3});
  for (int epoch = 0; epoch < 3; ++epoch) {
    const std::vector<std::int32_t> tokens = read(loader, 10);
    std::vector<std::int32_t> sorted = tokens;
    std::sort(sorted.begin(), sorted.end());
    for (std::int32_t i = 0; i < 80; ++i) EXPECT_EQ(sorted[static_cast<std::size_t>(i)], i);
    // Inside a document the tokens follow each other: no more breaks than documents, less one.
    int breaks = 0;
    for (std::size_t i = 1; i < tokens.size(); ++i) breaks += tokens[i] != tokens[i - 1] + 1;
    EXPECT_LE(breaks, 6);
    EXPECT_GE(breaks, 3);
  }
}

TEST(Loader, StartsOfDocumentsAreWhereTheyStart) {
  const TempFolder f;
  write_numbers(f / "a", 0, {10, 20, 30, 40, 5});
  const std::vector<std::int32_t> starts = {0, 10, 30, 60, 100};
  Loader loader({.folders = {f / "a"}, .sequence_length = 16, .seed = 3});
  for (int i = 0; i < 40; ++i) {
    const Row row = loader.next();
    ASSERT_EQ(row.tokens.size(), 17u);
    EXPECT_EQ(row.documents.front(), 0);
    for (std::size_t j = 1; j < row.tokens.size(); ++j) {
      const bool starts_here = std::find(starts.begin(), starts.end(), row.tokens[j]) != starts.end();
      const auto place = static_cast<std::int32_t>(j);
      const bool said = std::find(row.documents.begin(), row.documents.end(), place) != row.documents.end();
      EXPECT_EQ(said, starts_here) << "row " << i << " token " << j;
    }
  }
}

TEST(Loader, MixtureFollowsTheWeights) {
  const TempFolder f;
  write_numbers(f / "a", 0, std::vector<int>(20, 50));
  write_numbers(f / "b", 10000, std::vector<int>(200, 50));
  const auto share_of_a = [&](std::vector<double> weights) {
    Loader loader({.folders = {f / "a", f / "b"}, .weights = std::move(weights), .sequence_length = 10, .seed = 3});
    int n = 0;
    for (int i = 0; i < 3000; ++i) n += loader.next().tokens[0] < 10000;
    return n / 3000.0;
  };
  EXPECT_NEAR(share_of_a({3, 1}), 0.75, 5 * std::sqrt(0.75 * 0.25 / 3000));
  EXPECT_NEAR(share_of_a({}), 1.0 / 11, 5 * std::sqrt(0.0826 / 3000));
  EXPECT_EQ(share_of_a({0, 1}), 0);
}

TEST(Loader, EpochsEndASourceThenTheRun) {
  const TempFolder f;
  write_numbers(f / "a", 0, std::vector<int>(10, 16));      // 160 tokens
  write_numbers(f / "b", 10000, std::vector<int>(10, 16));  // the same
  for (const double epochs : {1.0, 1.5, 2.25}) {
    Loader loader(
        {.folders = {f / "a", f / "b"}, .weights = {9, 1}, .epochs = {epochs, 1}, .sequence_length = 8, .seed = 3});
    EXPECT_EQ(loader.most_tokens(), 160 * epochs + 160);
    std::map<bool, int> rows;
    const std::string error = error_of([&] {
      for (;;) ++rows[loader.next().tokens[0] < 10000];
    });
    EXPECT_NE(error.find("used up"), std::string::npos) << error;
    EXPECT_EQ(rows[true], std::lround(20 * epochs)) << epochs << " epochs";
    EXPECT_EQ(rows[false], 20);
  }
  Loader open({.folders = {f / "a", f / "b"}, .epochs = {0, 1}, .sequence_length = 8, .seed = 3});
  EXPECT_TRUE(std::isinf(open.most_tokens()));
  for (int i = 0; i < 100; ++i) open.next();
}

// Texts with much to split, so that every document changes its length.
std::vector<std::string> texts(int n) {
  std::vector<std::string> all;
  all.reserve(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) {
    all.push_back(fmt::format("Item {}: one.\nTwo (three);\n\nFour, \"five\".\n{}", i,
                              std::string(static_cast<std::size_t>(i % 7), '!')));
  }
  return all;
}

TEST(Loader, ResumesToTheTokenWithEverythingOn) {
  const TempFolder f;
  const text::Tokenizer t = tokenizer();
  write_texts(f / "a", texts(9), t);
  write_texts(f / "b", texts(23), t);
  const LoaderOptions options{
      .folders = {f / "a", f / "b"},
      .weights = {2, 1},
      .epochs = {0, 2.5},
      .sequence_length = 13,
      .seed = 3,
      .transform = std::make_shared<const DocumentTransform>(t, TransformOptions{.fim_rate = 0.5, .split_rate = 0.5})};
  Loader calm(options);
  auto stormy = std::make_unique<Loader>(options);
  for (int i = 0; i < 400; ++i) {
    const Row expected = calm.next(), row = stormy->next();
    ASSERT_EQ(row.tokens, expected.tokens) << "row " << i;
    ASSERT_EQ(row.documents, expected.documents) << "row " << i;
    EXPECT_EQ(stormy->state(), calm.state());
    const std::string state = stormy->state();
    stormy = std::make_unique<Loader>(options);
    stormy->restore(state);
  }
}

// The text of a document of tokens, a turned one put back in order.
std::string straightened(const text::Tokenizer& t, const std::vector<std::int32_t>& document, bool& turned) {
  const std::string begin = "<｜fim▁begin｜>", hole = "<｜fim▁hole｜>", end = "<｜fim▁end｜>";
  const std::string text = t.decode_bytes(document);
  turned = text.starts_with(begin);
  if (!turned) return text;
  const auto h = text.find(hole), e = text.find(end);
  return text.substr(begin.size(), h - begin.size()) + text.substr(e + end.size()) +
         text.substr(h + hole.size(), e - h - hole.size());
}

TEST(Loader, TransformedDocumentsArePackedWhole) {
  constexpr int kTexts = 30;
  const TempFolder f;
  const text::Tokenizer t = tokenizer();
  write_texts(f / "a", texts(kTexts), t);
  const auto transform =
      std::make_shared<const DocumentTransform>(t, TransformOptions{.fim_rate = 0.5, .split_rate = 0.5});
  Loader loader({.folders = {f / "a"}, .sequence_length = 16, .seed = 3, .transform = transform});
  // In each of two epochs every text is there once, straight or turned; which of the two differs between the epochs.
  std::map<std::string, std::vector<bool>> seen;
  std::vector<std::int32_t> document;
  for (int documents = 0; documents < 2 * kTexts;) {
    for (const std::int32_t id : read(loader, 1)) {
      if (documents == 2 * kTexts) break;
      document.push_back(id);
      if (id != t.eos_id().value_or(-1)) continue;
      document.pop_back();
      bool turned = false;
      const std::string text = straightened(t, document, turned);
      seen[text].push_back(turned);
      document.clear();
      ++documents;
    }
  }
  int turned = 0, differ = 0;
  for (const std::string& text : texts(kTexts)) {
    ASSERT_EQ(seen[text].size(), 2u) << text;
    turned += seen[text][0] + seen[text][1];
    differ += seen[text][0] != seen[text][1];
  }
  EXPECT_NEAR(turned, kTexts, 5 * std::sqrt(kTexts / 2.0));
  EXPECT_GT(differ, 0);
}

TEST(Loader, AStateOfOtherDataIsRefused) {
  const TempFolder f;
  write_numbers(f / "a", 0, {50, 50});
  write_numbers(f / "b", 1, {50, 50});
  write_numbers(f / "c", 0, {50, 51});
  Loader a({.folders = {f / "a"}, .sequence_length = 8, .seed = 3});
  read(a, 5);
  for (const char* other : {"b", "c"}) {
    Loader loader({.folders = {f / other}, .sequence_length = 8, .seed = 3});
    EXPECT_NE(error_of([&] { loader.restore(a.state()); }).find("the data has changed"), std::string::npos);
  }
}

TEST(Loader, RemovedDataStaysReadable) {
  const TempFolder f;
  write_numbers(f / "a", 0, std::vector<int>(30, 50));
  Loader calm({.folders = {f / "a"}, .sequence_length = 8, .seed = 3});
  const std::vector<std::int32_t> expected = read(calm, 100);
  Loader loader({.folders = {f / "a"}, .sequence_length = 8, .seed = 3});
  std::filesystem::remove_all(f / "a");
  EXPECT_EQ(read(loader, 100), expected);
}

TEST(Loader, ACutFileIsAnErrorAndTakesNoTokensAway) {
  const TempFolder f;
  write_numbers(f / "a", 0, std::vector<int>(30, 50));
  Loader loader({.folders = {f / "a"}, .sequence_length = 8, .seed = 3});
  read(loader, 3);
  std::filesystem::resize_file(f / "a/tokens-00000.bin", 400);
  std::string before;
  const std::string error = error_of([&] {
    for (;;) {
      before = loader.state();
      loader.next();
    }
  });
  EXPECT_NE(error.find("tokens-00000.bin: the file has been cut"), std::string::npos) << error;
  EXPECT_EQ(loader.state(), before);
}

// Only ids that the model has rows for reach it, whatever was written over the file since its checksum was looked at.
TEST(Loader, AnOverwrittenFileIsAnError) {
  const TempFolder f;
  write_numbers(f / "a", 0, {10, 20, 30});
  Loader loader({.folders = {f / "a"}, .sequence_length = 8, .seed = 3, .vocab_size = 60});
  const std::string before = loader.state();
  EXPECT_EQ(read(loader, 7).size(), 56u);
  {
    std::fstream file(f / "a/tokens-00000.bin", std::ios::in | std::ios::out | std::ios::binary);
    const std::int32_t id = 60;
    file.seekp(sizeof(ShardHeader) + 59 * 4);  // the last token
    file.write(reinterpret_cast<const char*>(&id), sizeof id);
  }
  const std::string error = error_of([&] {
    loader.restore(before);
    read(loader, 8);
  });
  EXPECT_NE(error.find("tokens-00000.bin: token 60 in document 2: the vocabulary has 60"), std::string::npos) << error;
}

}  // namespace
}  // namespace hadal::data
