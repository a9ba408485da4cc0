// Fill-in-the-middle and splitting: layout, text, rates, keys, and the tokenizers that have not what they need.
#include "data/transform.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>

#include "shards.h"
#include "text/special_tokens.h"

namespace hadal::data {
namespace {

using Ids = std::vector<std::int32_t>;

const std::string kText =
    "Das Schiff fährt über den Fluß.\nIt was (almost) dark;\n\n「これは本です。」\nEnd, said Ida.\r\n- one\n- two";

Ids document(const text::Tokenizer& t, const std::string& text = kText) {
  Ids ids = t.encode(text);
  ids.push_back(t.eos_id().value_or(-1));
  return ids;
}

// The pieces of a PSM document, as text; empty if it is not one.
std::vector<std::string> pieces(const text::Tokenizer& t, const Ids& ids) {
  const auto begin = t.token_id(text::kFimBeginName).value_or(-1), hole = t.token_id(text::kFimHoleName).value_or(-1),
             end = t.token_id(text::kFimEndName).value_or(-1);
  const auto at_hole = std::find(ids.begin(), ids.end(), hole), at_end = std::find(ids.begin(), ids.end(), end);
  if (ids.front() != begin || at_hole == ids.end() || at_end == ids.end() || at_end < at_hole) return {};
  EXPECT_EQ(std::count(ids.begin(), ids.end(), begin) + std::count(ids.begin(), ids.end(), hole) +
                std::count(ids.begin(), ids.end(), end),
            3);
  return {t.decode_bytes(Ids(ids.begin() + 1, at_hole)), t.decode_bytes(Ids(at_hole + 1, at_end)),
          t.decode_bytes(Ids(at_end + 1, ids.end()))};
}

bool begins_a_character(const std::string& s) { return s.empty() || (static_cast<unsigned char>(s[0]) & 0xC0) != 0x80; }

TEST(Fim, PrefixSuffixMiddleAndTheTextStays) {
  const text::Tokenizer t = tokenizer();
  const DocumentTransform fim(t, {.fim_rate = 1});
  const std::string eos(t.token_bytes(t.eos_id().value_or(-1)));
  std::set<std::string> prefixes;
  bool inside_a_word = false;
  for (std::uint64_t key = 0; key < 300; ++key) {
    Ids ids = document(t);
    ids = fim.apply(key, ids).tokens;
    const std::vector<std::string> p = pieces(t, ids);
    ASSERT_EQ(p.size(), 3u) << "key " << key;
    EXPECT_EQ(ids.back(), t.eos_id().value_or(-1));
    EXPECT_EQ(p[0] + p[2].substr(0, p[2].size() - eos.size()) + p[1], kText) << "key " << key;
    EXPECT_TRUE(begins_a_character(p[1]) && begins_a_character(p[2])) << "a character is cut at key " << key;
    // Each piece has the tokens it would have alone.
    const auto hole = std::find(ids.begin(), ids.end(), t.token_id(text::kFimHoleName).value_or(-1));
    EXPECT_EQ(Ids(ids.begin() + 1, hole), t.encode(p[0]));
    prefixes.insert(p[0]);
    inside_a_word = inside_a_word || p[0].ends_with("Schi");
  }
  EXPECT_GT(prefixes.size(), 60u) << "the cuts are not spread over the text";
  EXPECT_TRUE(inside_a_word) << "no cut falls inside a word";
}

TEST(Fim, RateIsKeptAndTheKeyDecides) {
  const text::Tokenizer t = tokenizer();
  const DocumentTransform fim(t, {.fim_rate = 0.1});
  int turned = 0;
  for (std::uint64_t key = 0; key < 2000; ++key) {
    Ids one = document(t), two = one;
    one = fim.apply(key, one).tokens;
    two = fim.apply(key, two).tokens;
    EXPECT_EQ(one, two);
    if (pieces(t, one).empty()) {
      EXPECT_EQ(one, document(t));
    } else {
      ++turned;
    }
  }
  EXPECT_NEAR(turned, 200, 60);  // 4.5 standard deviations
}

TEST(Fim, NeverCutsAnAddedToken) {
  const text::Tokenizer t = tokenizer();
  const std::string user = "<｜User｜>", text = user + "a" + user + "b" + user;
  const DocumentTransform fim(t, {.fim_rate = 1});
  for (std::uint64_t key = 0; key < 200; ++key) {
    Ids ids = document(t, text);
    ids = fim.apply(key, ids).tokens;
    EXPECT_EQ(std::count(ids.begin(), ids.end(), t.token_id(user).value_or(-1)), 3) << "key " << key;
  }
}

// Where a text is cut out of a document it has no EOS of its own: a model would not learn where a middle ends.
TEST(Fim, ShortDocumentsAndThoseWithoutAnEnd) {
  const text::Tokenizer t = tokenizer();
  const DocumentTransform fim(t, {.fim_rate = 1});
  Ids only_eos = {t.eos_id().value_or(-1)};
  only_eos = fim.apply(1, only_eos).tokens;
  EXPECT_EQ(only_eos.size(), 4u);
  EXPECT_EQ(only_eos.back(), t.eos_id().value_or(-1));
  Ids open = t.encode("half a document");
  open = fim.apply(1, open).tokens;
  EXPECT_EQ(open.back(), t.eos_id().value_or(-1));
  EXPECT_EQ(std::count(open.begin(), open.end(), t.eos_id().value_or(-1)), 1);
  EXPECT_EQ(pieces(t, open).size(), 3u);
}

TEST(Fim, WhatDoesNotFitStaysBehind) {
  const text::Tokenizer t = tokenizer();
  const DocumentTransform both(t, {.fim_rate = 1, .split_rate = 0.5});
  const Ids whole = document(t);
  for (const std::size_t most : {std::size_t{8}, whole.size() / 2, whole.size(), whole.size() + 40}) {
    for (std::uint64_t key = 0; key < 50; ++key) {
      const Transformed result = both.apply(key, whole, most);
      const Ids turned(result.tokens.begin(), result.tokens.begin() + static_cast<std::ptrdiff_t>(result.turned));
      const Ids rest(result.tokens.begin() + static_cast<std::ptrdiff_t>(result.turned), result.tokens.end());
      ASSERT_LE(turned.size(), most);
      EXPECT_EQ(rest.empty(), most > whole.size());
      const std::vector<std::string> p = pieces(t, turned);
      ASSERT_EQ(p.size(), 3u);
      ASSERT_EQ(turned.back(), t.eos_id().value_or(-1));
      const std::string eos(t.token_bytes(turned.back())), middle = p[2].substr(0, p[2].size() - eos.size());
      const std::string text = p[0] + middle + p[1];
      if (rest.empty()) {
        EXPECT_EQ(text, kText);
        continue;
      }
      EXPECT_EQ(text + t.decode_bytes(rest), kText + eos);
      EXPECT_TRUE(text.ends_with(t.token_bytes(result.before_rest)));
    }
  }
}

TEST(Fim, BytesThatAreNotUtf8Stay) {
  const text::Tokenizer t = tokenizer();
  const std::string text = "caf\xe9 \xff\xfe\x80\x80 ok \xf0\x9f";
  const DocumentTransform fim(t, {.fim_rate = 1});
  for (std::uint64_t key = 0; key < 50; ++key) {
    Ids ids = t.encode(text);
    ids = fim.apply(key, ids).tokens;
    const std::vector<std::string> p = pieces(t, ids);
    ASSERT_EQ(p.size(), 3u);
    const std::string eos(t.token_bytes(t.eos_id().value_or(-1)));
    EXPECT_EQ(p[0] + p[2] + p[1], p[0] + p[2].substr(0, p[2].size() - eos.size()) + eos + p[1]);
    EXPECT_EQ(p[0] + p[2].substr(0, p[2].size() - eos.size()) + p[1], text);
  }
}

TEST(Fim, ATokenizerWithoutTheTokensIsRefused) {
  const std::string error = test::error_of([] { DocumentTransform(tokenizer("tiny_gpt2"), {.fim_rate = 0.1}); });
  EXPECT_NE(error.find("data.fim_rate = 0.1: the tokenizer has no token <｜fim▁begin｜>"), std::string::npos) << error;
}

TEST(Split, PartsAreTheBytesCutAtLineEnds) {
  const text::Tokenizer t = tokenizer("tiny_qwen2");
  const DocumentTransform split(t, {.split_rate = 1});
  ASSERT_FALSE(split.parts().empty());
  for (const auto& [id, parts] : split.parts()) {
    EXPECT_GE(parts.size(), 2u);
    EXPECT_EQ(t.decode_bytes(parts), t.token_bytes(id));
    for (const std::int32_t part : parts) {
      const std::string_view bytes = t.token_bytes(part);
      const auto ends = std::count_if(bytes.begin(), bytes.end(), [](char c) { return c == '\n' || c == '\r'; });
      EXPECT_TRUE(ends == 0 || ends == static_cast<std::ptrdiff_t>(bytes.size())) << '"' << bytes << '"';
      EXPECT_FALSE(split.parts().contains(part));
    }
  }
}

// Every token that joins the two is there, by another definition of "joins" for ASCII.
TEST(Split, FindsEveryJoiningToken) {
  const text::Tokenizer t = tokenizer("tiny_qwen2");
  const DocumentTransform split(t, {.split_rate = 1});
  std::size_t joining = 0;
  for (std::int32_t id = 0; id < t.vocab_size(); ++id) {
    const std::string_view b = t.token_bytes(id);
    const bool line_end = b.find_first_of("\r\n") != std::string_view::npos;
    const bool mark = b.find_first_of("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") != std::string_view::npos;
    const bool other = std::any_of(b.begin(), b.end(), [](char c) { return std::isalnum(c) != 0 || (c & 0x80) != 0; });
    if (!line_end || !mark || other || t.is_added(id)) continue;
    ++joining;
    EXPECT_TRUE(split.parts().contains(id)) << '"' << b << '"';
  }
  EXPECT_GT(joining, 0u);
}

TEST(Split, TheTextStaysAndTheRateIsKept) {
  const text::Tokenizer t = tokenizer("tiny_qwen2");
  const DocumentTransform all(t, {.split_rate = 1}), some(t, {.split_rate = 0.25});
  std::string text;
  for (int i = 0; i < 400; ++i) text += "He said so.\nShe did (too):\n\n";
  const Ids whole = document(t, text);
  std::int64_t splittable = 0;
  for (const std::int32_t id : whole) splittable += all.parts().contains(id);
  ASSERT_GT(splittable, 300);
  Ids ids = whole;
  ids = all.apply(7, ids).tokens;
  EXPECT_EQ(t.decode_bytes(ids), t.decode_bytes(whole));
  for (const std::int32_t id : ids) EXPECT_FALSE(all.parts().contains(id));
  ids = whole;
  ids = some.apply(7, ids).tokens;
  EXPECT_EQ(t.decode_bytes(ids), t.decode_bytes(whole));
  std::int64_t left = 0;
  for (const std::int32_t id : ids) left += all.parts().contains(id);
  const auto n = static_cast<double>(splittable);
  EXPECT_NEAR(static_cast<double>(splittable - left), 0.25 * n, 5 * std::sqrt(0.25 * 0.75 * n));
  Ids again = whole, other = whole;
  again = some.apply(7, again).tokens;
  other = some.apply(8, other).tokens;
  EXPECT_EQ(again, ids);
  EXPECT_NE(other, ids);
}

TEST(Split, ATokenizerWithoutSuchTokensIsRefused) {
  const std::string error = test::error_of([] { DocumentTransform(tokenizer("tiny_gpt2"), {.split_rate = 0.5}); });
  EXPECT_NE(error.find("data.split_rate = 0.5"), std::string::npos) << error;
}

TEST(Transform, SplittingLeavesTheMarksOfFimAlone) {
  const text::Tokenizer t = tokenizer();
  const DocumentTransform both(t, {.fim_rate = 1, .split_rate = 1});
  for (std::uint64_t key = 0; key < 50; ++key) {
    Ids ids = document(t);
    ids = both.apply(key, ids).tokens;
    EXPECT_EQ(pieces(t, ids).size(), 3u);
    for (const std::int32_t id : ids) EXPECT_FALSE(both.parts().contains(id));
  }
}

}  // namespace
}  // namespace hadal::data
