// Pre-tokenizer steps against the reference library's, and the choice between hand-written matchers and PCRE2.
#include "text/pretokenizer.h"

#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "fixtures.h"

namespace hadal::text {
namespace {

std::vector<std::string> pieces_of(const PreTokenizer& pretokenizer, std::string_view text) {
  std::vector<std::string> pieces;
  pretokenizer.run(text, [&](std::string_view piece) { pieces.emplace_back(piece); });
  return pieces;
}

const std::map<std::string, SplitBehavior> kBehaviors = {{"Isolated", SplitBehavior::isolated},
                                                         {"Removed", SplitBehavior::removed},
                                                         {"MergedWithPrevious", SplitBehavior::merged_with_previous},
                                                         {"MergedWithNext", SplitBehavior::merged_with_next},
                                                         {"Contiguous", SplitBehavior::contiguous}};

TEST(PreTokenizer, StepsEqualTheReference) {
  std::map<std::string, int> kinds;
  for (const json& record : read_lines("pretokenizer.jsonl")) {
    const std::string kind = record.at("kind");
    ++kinds[kind];
    PreTokenizer pretokenizer;
    std::vector<std::string> warnings;
    if (kind == "digits") {
      pretokenizer.add_digits(record.at("individual"));
    } else {
      const std::string pattern = record.at("pattern");
      pretokenizer.add_split(kind == "literal" ? literal_pattern(pattern) : make_pattern(pattern, warnings),
                             kBehaviors.at(record.at("behavior")), record.at("invert"));
    }
    EXPECT_EQ(warnings.size(), kind == "unknown" ? 1u : 0u) << record.dump();
    EXPECT_EQ(pieces_of(pretokenizer, record.at("text").get<std::string>()),
              record.at("pieces").get<std::vector<std::string>>())
        << record.dump();
  }
  EXPECT_EQ(kinds.size(), 4u);
  EXPECT_GE(kinds["unknown"], 100);
}

TEST(PreTokenizer, ClassRunsAndPcre2AgreeWhereBothKnowThePattern) {
  const std::string text = "Ab 12345 中文カ\u3000、！ ..\r\n x\xFF\xFEyz ÀÖ \t\n";
  for (const char* regex :
       {R"(\p{N}{1,3})", "[一-龥\u3040-ゟ゠-ヿ]+", R"([\r\n])", R"(\s?[A-Za-zÀ-Ö]+)", R"([^\p{L}\s]+)", R"(\p{P})"}) {
    PreTokenizer by_hand, by_pcre2;
    std::unique_ptr<Pattern> run = class_run_pattern(regex);
    ASSERT_NE(run, nullptr) << regex;
    by_hand.add_split(std::move(run), SplitBehavior::isolated, false);
    by_pcre2.add_split(pcre2_pattern(regex), SplitBehavior::isolated, false);
    const std::string valid = "Ab 12345 中文カ\u3000、！ ..\r\n xyz ÀÖ \t\n";
    EXPECT_EQ(pieces_of(by_hand, valid), pieces_of(by_pcre2, valid)) << regex;
    std::string joined;
    for (const std::string& piece : pieces_of(by_hand, text)) joined += piece;
    EXPECT_EQ(joined, text) << regex;
  }
}

TEST(PreTokenizer, ClassRunsLeaveTheRestToPcre2) {
  for (const char* regex : {R"(\p{Lu}+)", R"([a-z]*)", R"([a&&b])", R"([[:alpha:]]+)", R"([a-z]+|b)", R"([z-a])", "[a",
                            R"([\d])", "[]a]", R"(\p{N}{3,1})", R"(\p{N}{0,1})", ""}) {
    EXPECT_EQ(class_run_pattern(regex), nullptr) << regex;
  }
}

TEST(PreTokenizer, KnownPatternsWithEscapesOrCharacters) {
  EXPECT_NE(known_pattern("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
                          "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"),
            nullptr);
  EXPECT_NE(known_pattern("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
                          "?[^\\s\\p{L}\\p{N}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"),
            nullptr);
  EXPECT_EQ(known_pattern("\\s+"), nullptr);
}

// What PCRE2 would take for something else than Oniguruma does, or does not have.
TEST(PreTokenizer, PatternsWithoutACounterpartAreErrors) {
  for (const char* regex :
       {R"(\pL)",  R"(\p{L&})", R"(\p{Xan})",  R"(\p{Emoji})", R"(\Qa\E)", R"(\X)",     R"(\g1)",    R"(\cA)",
        R"(\xe9)", R"(\01)",    "[a-z&&[^b]]", "[a[b]]",       "[]a]",     R"([\w-z])", R"([a-\d])", "[[:graph:]]",
        "a{2}+",   "a{2}?",     "(?s).",       "(?x)a b",      "(?P<n>a)", "(?|a|b)",   "(*FAIL)",   "(?~a)",
        "(?i)ss",  "(?i:fi)",   "a)",          "(a",           "[a",       "\\",        R"(\p{L)",   "a{3,1}"}) {
    std::vector<std::string> warnings;
    EXPECT_THROW(make_pattern(regex, warnings), Error) << regex;
  }
}

TEST(PreTokenizer, BrokenPatternsAreErrors) {
  std::vector<std::string> warnings;
  EXPECT_THROW(make_pattern("(a", warnings), Error);
  EXPECT_THROW(literal_pattern(""), Error);
}

}  // namespace
}  // namespace hadal::text
