// The loader: every token once an epoch, spans, mixtures, epochs, transformed spans, positions that resume to the
// token, and data that changes or goes while a run is on.
#include "data/loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "base/json.h"
#include "data/permutation.h"
#include "shards.h"

namespace hadal::data {
namespace {

using test::error_of;
using test::TempFolder;

// The targets of a row, each with the token it is predicted from.
std::vector<std::pair<std::int32_t, std::int32_t>> predictions(const Row& row) {
  std::vector<std::pair<std::int32_t, std::int32_t>> all;
  for (std::size_t i = 1; i < row.tokens.size(); ++i) {
    const bool context = std::binary_search(row.contexts.begin(), row.contexts.end(), static_cast<std::int32_t>(i));
    if (!context) all.emplace_back(row.tokens[i - 1], row.tokens[i]);
  }
  return all;
}

// Targets of n rows.
std::vector<std::int32_t> read(Loader& loader, int rows) {
  std::vector<std::int32_t> all;
  for (int i = 0; i < rows; ++i) {
    for (const auto& [context, target] : predictions(loader.next())) all.push_back(target);
  }
  return all;
}

// Documents of numbers (write_numbers), and what is true of every row of them.
struct Numbers {
  std::vector<int> lengths;
  std::int32_t first = 0;  // token
  std::set<std::int32_t> begins, ends;

  Numbers(std::vector<int> document_lengths, std::int32_t first_token) : lengths(std::move(document_lengths)) {
    first = first_token;
    for (std::int32_t at = first; const int length : lengths) {
      begins.insert(at);
      at += length;
      ends.insert(at - 1);
    }
  }
  std::int32_t tokens() const { return std::accumulate(lengths.begin(), lengths.end(), 0); }

  void check(const Row& row) const {
    ASSERT_EQ(row.documents.front(), 0);
    for (const auto& [context, target] : predictions(row)) {
      if (begins.contains(target)) {
        ASSERT_TRUE(ends.contains(context)) << target << " begins a document and follows on " << context;
      } else {
        ASSERT_EQ(context, target - 1);
      }
    }
    // A document begins inside of the row where the text does not go on, or begins; tokens that are context alone are
    // among these places.
    for (std::int32_t i = 1; i < static_cast<std::int32_t>(row.tokens.size()); ++i) {
      const std::int32_t token = row.tokens[static_cast<std::size_t>(i)];
      const bool goes_on = token == row.tokens[static_cast<std::size_t>(i) - 1] + 1 && !begins.contains(token);
      const bool context = std::binary_search(row.contexts.begin(), row.contexts.end(), i);
      ASSERT_EQ(std::binary_search(row.documents.begin(), row.documents.end(), i), !goes_on || context)
          << "place " << i;
    }
  }
};

std::vector<int> drawn_lengths(std::mt19937& random, std::size_t documents, int longest) {
  std::vector<int> lengths(documents);
  for (int& n : lengths) n = 1 + static_cast<int>(random() % static_cast<unsigned>(longest));
  return lengths;
}

// Every token of an epoch is predicted once, from the token before it in its document, and no token of the next epoch
// comes before the last one of this epoch: whatever the documents' lengths, with as many epochs as are asked for.
TEST(Loader, EveryTokenIsPredictedOnceAnEpochFromTheOneBefore) {
  std::mt19937 random(8);
  for (int round = 0; round < 60; ++round) {
    const std::int64_t length = 1 + random() % 24;
    const double epochs = std::array{1.0, 2.0, 1.5, 2.25, 0.3}[static_cast<std::size_t>(round % 5)];
    SCOPED_TRACE(fmt::format("round {}: rows of {}, {} epochs", round, length, epochs));
    const TempFolder f;
    const std::array<Numbers, 3> all = {Numbers(drawn_lengths(random, 1 + random() % 20, 1 + random() % 90), 0),
                                        Numbers(drawn_lengths(random, 1 + random() % 200, 3), 20000),
                                        Numbers({1 + static_cast<int>(random() % 900)}, 40000)};
    LoaderOptions options{.sequence_length = length, .seed = static_cast<std::uint64_t>(round)};
    for (const Numbers& n : all) {
      options.folders.push_back(f / std::to_string(n.first));
      options.epochs.push_back(epochs);
      write_numbers(options.folders.back(), n.first, n.lengths, 100 + random() % 300);
    }
    Loader loader(options);
    std::map<std::int32_t, std::vector<std::int32_t>> targets;
    std::uint64_t rows = 0;
    const std::string error = error_of([&] {
      for (;; ++rows) {
        const Row row = loader.next();
        ASSERT_EQ(row.tokens.size(), static_cast<std::size_t>(length) + 1);
        const Numbers& source = all[static_cast<std::size_t>(row.tokens[0] / 20000)];
        ASSERT_NO_FATAL_FAILURE(source.check(row));
        for (const auto& [context, target] : predictions(row)) targets[source.first].push_back(target);
      }
    });
    EXPECT_NE(error.find("used up"), std::string::npos) << error;
    EXPECT_GE(static_cast<double>(rows) * static_cast<double>(length), loader.most_tokens());
    for (const Numbers& n : all) {
      const std::vector<std::int32_t>& read = targets[n.first];
      const auto tokens = static_cast<std::size_t>(n.tokens());
      // The last row is filled, and the span that the last epoch ends in is read whole.
      EXPECT_GE(static_cast<double>(read.size()), epochs * n.tokens());
      EXPECT_LT(static_cast<double>(read.size()), epochs * n.tokens() + 2 * static_cast<double>(length));
      for (std::size_t from = 0; from < read.size(); from += tokens) {
        const auto begin = read.begin() + static_cast<std::ptrdiff_t>(from);
        const std::set<std::int32_t> once(begin,
                                          begin + static_cast<std::ptrdiff_t>(std::min(tokens, read.size() - from)));
        EXPECT_EQ(once.size(), std::min(tokens, read.size() - from)) << "some token is there twice in an epoch";
      }
    }
  }
}

// One document, as long as a hundred batches: its rows are whole spans, none beside its neighbour but by chance.
TEST(Loader, RowsOfABatchAreNotNeighboursInOneDocument) {
  constexpr int kLength = 16, kSpans = 800;
  const TempFolder f;
  write_numbers(f / "a", 0, {kLength * kSpans});
  Loader loader({.folders = {f / "a"}, .sequence_length = kLength, .seed = 3});
  std::vector<int> order, next;
  for (int epoch = 0; epoch < 2; ++epoch) {
    for (int i = 0; i < kSpans; ++i) {
      const Row row = loader.next();
      EXPECT_EQ(row.tokens[1] % kLength, 0);
      EXPECT_EQ(row.tokens.back(), row.tokens[1] + kLength - 1);
      (epoch == 0 ? order : next).push_back(row.tokens[1] / kLength);
    }
  }
  EXPECT_NE(order, next) << "two epochs in the same order";
  // Of 8 rows that come together 8 * 7 ordered pairs are each neighbours with a chance of 1 / 800: 7 in all batches,
  // and one standard deviation is 2.6.
  int neighbours = 0;
  for (std::size_t i = 0; i < kSpans; ++i) {
    for (std::size_t j = i / 8 * 8; j < i / 8 * 8 + 8; ++j) neighbours += order[i] + 1 == order[j];
  }
  EXPECT_LE(neighbours, 20);
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

// Nothing is held for an epoch and nothing is made by going through those before.
TEST(Loader, APositionIsTakenUpWhereverItLies) {
  const TempFolder f;
  const Numbers numbers({300, 7, 1, 90, 45}, 0);
  write_numbers(f / "a", 0, numbers.lengths);
  const LoaderOptions options{.folders = {f / "a"}, .sequence_length = 16, .seed = 3};
  Loader loader(options);
  json state = parse_json(loader.state(), "state");
  state["sources"][0]["epoch"] = std::uint64_t{1} << 50;
  loader.restore(state.dump());
  const std::vector<std::int32_t> targets = read(loader, 28);
  ASSERT_GE(targets.size(), 443u);
  const std::set<std::int32_t> epoch(targets.begin(), targets.begin() + 443);
  EXPECT_EQ(epoch.size(), 443u);
  for (const auto& [key, value] : std::map<std::string, json>{{"place", 1000},
                                                              {"read", 443},
                                                              {"waiting", {{1, 0, 0}}},
                                                              {"waiting", {{0, 0, 16}}},
                                                              {"waiting", {{0, 1, 0}}}}) {
    state = parse_json(Loader(options).state(), "state");
    state["sources"][0]["place"] = 1;
    state["sources"][0][key] = value;
    EXPECT_NE(error_of([&] { Loader(options).restore(state.dump()); }).find("lies outside of"), std::string::npos)
        << state;
  }
  const std::string old = R"({"row":3,"sources":[[0,1,4,443,7]]})";
  EXPECT_NE(error_of([&] { Loader(options).restore(old); }).find("an older version"), std::string::npos);
}

TEST(Loader, TransformedSpansArePackedWhole) {
  constexpr int kTexts = 30;
  const TempFolder f;
  const text::Tokenizer t = tokenizer();
  write_texts(f / "a", texts(kTexts), t);
  const auto transform =
      std::make_shared<const DocumentTransform>(t, TransformOptions{.fim_rate = 0.5, .split_rate = 0.5});
  Loader loader({.folders = {f / "a"}, .sequence_length = 128, .seed = 3, .transform = transform});
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

// Two shards that differ in their tokens alone, written long ago: the second is put over the first, as `cp` does it.
struct Pair {
  TempFolder f;
  fs::path file = f / "a/tokens-00000.bin", other = f / "b/tokens-00000.bin";
  Pair() {
    write_numbers(f / "a", 0, std::vector<int>(30, 50));
    write_numbers(f / "b", 1, std::vector<int>(30, 50));
    for (const auto& path : {file, other})
      fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(1));
  }
  void overwrite() const { fs::copy_file(other, file, fs::copy_options::overwrite_existing); }
};

TEST(Loader, AnOverwrittenFileIsAnErrorWhateverIsInIt) {
  const Pair p;
  Loader loader({.folders = {p.f / "a"}, .sequence_length = 8, .seed = 3});
  read(loader, 3);
  const std::string before = loader.state();
  p.overwrite();
  const std::string error = error_of([&] { read(loader, 1); });
  EXPECT_EQ(error, p.file.string() + ": the file has been written to since it was opened");
  EXPECT_EQ(loader.state(), before);
}

// Its times say nothing was written: the content is looked at.
TEST(Loader, AnOverwrittenFileWithItsOldTimesIsAnError) {
  const Pair p;
  Loader loader({.folders = {p.f / "a"}, .sequence_length = 8, .seed = 3});
  read(loader, 3);
  const auto time = fs::last_write_time(p.file);
  p.overwrite();
  fs::last_write_time(p.file, time);
  const std::string error = error_of([&] { read(loader, 1); });
  EXPECT_EQ(error, p.file.string() + ": the file has been written to since it was opened");
}

TEST(Loader, WhatLeavesTheContentDisturbsNothing) {
  const Pair p;
  const LoaderOptions options{.folders = {p.f / "a"}, .sequence_length = 8, .seed = 3};
  Loader calm(options), loader(options);
  const auto next = [&] { EXPECT_EQ(read(loader, 10), read(calm, 10)); };
  next();
  fs::permissions(p.file, fs::perms::owner_read);
  next();
  fs::create_hard_link(p.file, p.f / "link");
  next();
  fs::rename(p.file, p.f / "away");
  next();
  fs::copy_file(p.other, p.file);  // another file of the same name
  next();
}

// Not what a run reads first decides, but all that is there.
TEST(Loader, IdsAreCheckedBeforeAnythingIsRead) {
  const TempFolder f;
  write_numbers(f / "a", 0, {10, 20, 30}, 25);
  const Loader fits({.folders = {f / "a"}, .sequence_length = 8, .vocab_size = 60});
  const std::string error = error_of([&] { Loader({.folders = {f / "a"}, .sequence_length = 8, .vocab_size = 59}); });
  EXPECT_EQ(error, (f / "a/tokens-00001.bin").string() + ": has the token 59: the tokenizer has 59, all must be below");
}

}  // namespace
}  // namespace hadal::data
