// Spans: documents cut so that nothing is lost, what transformations do to them, and the order they come in.
#include "data/spans.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "data/permutation.h"
#include "shards.h"

namespace hadal::data {
namespace {

using test::TempFolder;

TEST(Permutation, EveryNumberAtOnePlaceAndEveryPlaceAlike) {
  for (const std::uint64_t n : {1, 2, 3, 5, 16, 17, 100, 1000, 4097}) {
    std::vector<bool> seen(n);
    const Permutation p(7 * n, n);
    for (std::uint64_t i = 0; i < n; ++i) {
      ASSERT_LT(p(i), n);
      EXPECT_FALSE(seen[p(i)]) << n;
      seen[p(i)] = true;
    }
  }
  // How often each number is at each place, over keys: chi-squared with 49 degrees of freedom, 5 standard deviations.
  constexpr std::uint64_t kNumbers = 7, kKeys = 20000;
  std::vector<int> count(kNumbers * kNumbers);
  for (std::uint64_t key = 0; key < kKeys; ++key) {
    const Permutation p(key << 32 | key, kNumbers);
    for (std::uint64_t i = 0; i < kNumbers; ++i) ++count[i * kNumbers + p(i)];
  }
  const double expected = static_cast<double>(kKeys) / kNumbers;
  double chi = 0;
  for (const int c : count) chi += (c - expected) * (c - expected) / expected;
  EXPECT_LT(chi, 49 + 5 * std::sqrt(2 * 49.0));
  // As far as a number goes: nothing is held, and a place far out costs no more.
  const Permutation wide(1, std::uint64_t{1} << 62);
  EXPECT_NE(wide((std::uint64_t{1} << 62) - 1), wide(0));
}

TEST(Spans, CutAtMultiplesOfTheLengthEachWithTheTokenBefore) {
  const TempFolder f;
  write_numbers(f / "a", 100, {10, 1, 8, 9}, 12);  // in several shards
  const Spans spans(f / "a", 4);
  const std::vector<std::vector<std::int32_t>> expected = {{109, 100, 101, 102, 103},
                                                           {103, 104, 105, 106, 107},
                                                           {107, 108, 109},
                                                           {110, 110},
                                                           {118, 111, 112, 113, 114},
                                                           {114, 115, 116, 117, 118},
                                                           {127, 119, 120, 121, 122},
                                                           {122, 123, 124, 125, 126},
                                                           {126, 127}};
  EXPECT_EQ(spans.tokens(), 28u);
  ASSERT_EQ(spans.size(), expected.size());
  for (std::uint64_t i = 0; i < spans.size(); ++i) {
    const Span s = spans.read(i, 0, nullptr, 0);
    EXPECT_EQ(s.tokens, expected[i]);
    EXPECT_EQ(spans.length(i), s.tokens.size() - 1);
    const bool begins = i == 0 || i == 3 || i == 4 || i == 6, ends = i == 2 || i == 3 || i == 5 || i == 8;
    EXPECT_EQ(s.begins, begins) << i;
    EXPECT_EQ(s.ends, ends) << i;
    EXPECT_EQ(s.starts.size(), begins ? 1u : 0u);
  }
}

// A last look at what the model is about to read: rows of its embedding beyond the end would be read otherwise.
TEST(Spans, IdsOutsideOfTheVocabularyAreAnError) {
  const TempFolder f;
  write_numbers(f / "a", 0, {10, 20});
  const Spans spans(f / "a", 16);
  EXPECT_EQ(spans.read(2, 30, nullptr, 0).tokens.back(), 29);
  EXPECT_NE(
      test::error_of([&] { spans.read(2, 29, nullptr, 0); }).find("token 29 in document 1: the vocabulary has 29"),
      std::string::npos);
}

// Of one long text no byte is lost or doubled, and what is turned fits a row with the EOS that ends its middle.
TEST(Spans, ALongDocumentIsTransformedInSpansThatFitARow) {
  constexpr std::int64_t kLength = 64;
  const TempFolder f;
  const text::Tokenizer t = tokenizer();
  std::string text;
  for (const std::string& part : texts(200)) text += part;
  write_texts(f / "a", {text}, t);
  const Spans spans(f / "a", kLength);
  const auto eos = t.eos_id().value_or(-1);
  for (const double split : {0.0, 0.5, 1.0}) {
    const DocumentTransform transform(t, {.fim_rate = 0.5, .split_rate = split});
    std::string back;
    int turned = 0, with_rest = 0;
    for (std::uint64_t i = 0; i < spans.size(); ++i) {
      const Span s = spans.read(i, 0, &transform, 7 * i);
      ASSERT_EQ(s.begins, !s.starts.empty() && s.starts[0].at == 1);
      const bool rest = !s.starts.empty() && s.starts.back().context;
      const std::size_t cut = rest ? s.starts.back().at : s.tokens.size();
      const std::vector<std::int32_t> first(s.tokens.begin() + 1, s.tokens.begin() + static_cast<std::ptrdiff_t>(cut));
      bool is_turned = false;
      std::string straight = straightened(t, first, is_turned);
      if (is_turned) {
        ++turned;
        ASSERT_LE(first.size(), static_cast<std::size_t>(kLength)) << "a row would end before it";
        ASSERT_EQ(first.back(), eos);
        EXPECT_EQ(s.tokens[0], eos);
        // straightened() leaves the EOS where the middle ends.
        const std::string mark(t.token_bytes(eos));
        ASSERT_NE(straight.find(mark), std::string::npos);
        straight.erase(straight.rfind(mark), mark.size());
      }
      back += straight;
      if (!rest) continue;
      ++with_rest;
      ASSERT_TRUE(is_turned);
      EXPECT_EQ(back.substr(back.size() - t.token_bytes(s.tokens[cut]).size()), t.token_bytes(s.tokens[cut]));
      back += t.decode_bytes({s.tokens.begin() + static_cast<std::ptrdiff_t>(cut) + 1, s.tokens.end()});
    }
    back = back.substr(0, text.size());  // an EOS may stand at its end
    EXPECT_EQ(back, text);
    EXPECT_NEAR(turned, 0.5 * static_cast<double>(spans.size()),
                5 * std::sqrt(0.25 * static_cast<double>(spans.size())));
    EXPECT_GT(with_rest, turned / 2);
  }
}

}  // namespace
}  // namespace hadal::data
