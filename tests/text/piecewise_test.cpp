// Documents in chunks: whatever the cuts and the window, the ids of the whole document.
#include "text/piecewise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/error.h"
#include "fixtures.h"

namespace hadal::text {
namespace {

constexpr std::size_t kWindows[] = {1, 7, 40, 300};

std::vector<std::int32_t> in_chunks(PiecewiseEncoder& encoder, std::string_view text, std::mt19937& random,
                                    std::size_t longest) {
  std::vector<std::int32_t> ids;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = std::min<std::size_t>(1 + random() % longest, text.size() - at);
    encoder.push(text.substr(at, size), ids);
    at += size;
  }
  encoder.finish(ids);
  return ids;
}

std::string random_text(std::mt19937& random, const std::vector<std::string>& added) {
  static const char* const kParts[] = {" ",
                                       "  ",
                                       "\n",
                                       "\r\n",
                                       "\t",
                                       "\u3000",
                                       "\u00a0",
                                       "word",
                                       "Words",
                                       "the",
                                       "a",
                                       "'s",
                                       "'S",
                                       "'ll",
                                       "\u017f",
                                       "1",
                                       "123",
                                       "12345",
                                       "\u0661",
                                       "!",
                                       "...",
                                       "\u3002",
                                       "e\u0301",
                                       "é",
                                       "\u1100\u1161\u11a8",
                                       "\uac01",
                                       "a\u0323\u0302",
                                       "\u212b",
                                       "中文",
                                       "カタ",
                                       "😀",
                                       "\u200d",
                                       "\u1abf",
                                       "a.b",
                                       "<",
                                       "|>",
                                       "_x",
                                       "-"};
  std::string text;
  for (unsigned n = random() % 60; n > 0; --n) {
    switch (random() % 8) {
      case 0:
        for (unsigned i = random() % 4; i > 0; --i) text += static_cast<char>(random() % 256);
        break;
      case 1:
        if (!added.empty()) {
          const std::string& token = added[random() % added.size()];
          text += random() % 3 == 0 ? token.substr(0, random() % (token.size() + 1)) : token;
        }
        break;
      case 2:
        for (unsigned i = random() % 30; i > 0; --i) text += kParts[random() % 8];
        break;
      default:
        text += kParts[random() % std::size(kParts)];
    }
  }
  return text;
}

std::vector<std::string> added_tokens(const Tokenizer& tokenizer) {
  std::vector<std::string> added;
  for (std::int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    if (tokenizer.is_added(id)) added.emplace_back(tokenizer.token_bytes(id));
  }
  return added;
}

void expect_equal_ids(const Tokenizer& tokenizer, unsigned seed, int texts) {
  std::mt19937 random(seed);
  const std::vector<std::string> added = added_tokens(tokenizer);
  for (const ControlTokens control : {ControlTokens::as_text, ControlTokens::as_tokens}) {
    for (const std::size_t window : kWindows) {
      PiecewiseEncoder encoder(tokenizer, control, window);  // one for all texts: nothing is left of the one before
      for (int i = 0; i < texts; ++i) {
        const std::string text = random_text(random, added);
        const auto whole = control == ControlTokens::as_text ? tokenizer.encode_as_text(text) : tokenizer.encode(text);
        ASSERT_EQ(in_chunks(encoder, text, random, 1 + random() % 50), whole)
            << "window " << window << ", text " << json(text).dump(-1, ' ', true, json::error_handler_t::replace);
      }
    }
  }
}

TEST(Piecewise, KnownTokenizersGiveTheIdsOfTheWholeText) {
  for (const char* name : kTinyTokenizers) {
    SCOPED_TRACE(name);
    expect_equal_ids(Tokenizer::load(data_path("tokenizers") / name), 11, 300);
  }
}

json split(const char* regex, const char* behavior, bool invert = false) {
  return {{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", behavior}, {"invert", invert}};
}

json byte_level(bool prefix, bool regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", prefix}, {"trim_offsets", true}, {"use_regex", regex}};
}

Tokenizer with_steps(const char* base, const json& steps) {
  const fs::path dir = temporary_path("hadal_piecewise");
  fs::create_directories(dir);
  json file = read_json(data_path("tokenizers") / base / "tokenizer.json");
  file["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", steps}};
  write_file_atomically(dir / "tokenizer.json", file.dump());
  Tokenizer tokenizer = Tokenizer::load(dir);
  fs::remove_all(dir);
  return tokenizer;
}

TEST(Piecewise, AnyPatternGivesTheIdsOfTheWholeText) {
  const char* const patterns[] = {"\\p{N}{1,3}",
                                  "[^\\r\\n]+",
                                  "\\s?\\p{L}+",
                                  "\\p{L}{2,4}",
                                  "\\s+$",
                                  "(?<=[a-z])\\d+|\\w+",
                                  "(?<!\\s)\\s+(?!\\S)",
                                  "\\b",
                                  "x*",
                                  "a.b|\\s",
                                  "(?=1)",
                                  "\\w+(?=\\s|$)",
                                  "^\\s+",
                                  "[A-Z]?[a-z]+(?:'s)?|\\p{P}+",
                                  "(?<=\\n)|\\.",
                                  "(.)\\1",
                                  "\\Gw",
                                  "\\r?\\n",
                                  "(?m:<.*?>)"};
  const char* const behaviors[] = {"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
  std::mt19937 random(3);
  for (int i = 0; i < 120; ++i) {
    json steps = json::array();
    for (unsigned n = random() % 3; n > 0; --n) {
      if (random() % 4 == 0) {
        steps.push_back({{"type", "Digits"}, {"individual_digits", random() % 2 == 0}});
      } else if (random() % 6 == 0) {
        steps.push_back({{"type", "Split"},
                         {"pattern", {{"String", "a.b"}}},
                         {"behavior", behaviors[random() % 5]},
                         {"invert", false}});
      } else {
        steps.push_back(split(patterns[random() % std::size(patterns)], behaviors[random() % 5], random() % 4 == 0));
      }
    }
    steps.push_back(byte_level(random() % 2 == 0, random() % 2 == 0));
    SCOPED_TRACE(steps.dump());
    expect_equal_ids(with_steps(i % 2 == 0 ? "tiny_gpt2" : "tiny_qwen2", steps), 100 + static_cast<unsigned>(i), 12);
    if (HasFatalFailure()) return;
  }
}

TEST(Piecewise, WhatItHoldsIsBounded) {
  // Ids come out while the document is read: never more than some windows behind.
  const Tokenizer tokenizer = Tokenizer::load(data_path("tokenizers/tiny_deepseek_v3"));
  PiecewiseEncoder encoder(tokenizer, ControlTokens::as_text, 1000);
  std::string text;
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 2000; ++i) {
    const std::string line = "The quick brown fox no. " + std::to_string(i) + " jumps <｜User｜> over.\n\n";
    text += line;
    encoder.push(line, ids);
    if (i % 100 == 99) {
      EXPECT_GT(tokenizer.decode_bytes(ids).size() + 40'000, text.size());
    }
  }
  encoder.finish(ids);
  EXPECT_EQ(ids, tokenizer.encode_as_text(text));
}

TEST(Piecewise, ARunWithoutAnyCutIsAnErrorAtABound) {
  const Tokenizer tokenizer = Tokenizer::load(data_path("tokenizers/tiny_deepseek_v3"));
  PiecewiseEncoder encoder(tokenizer, ControlTokens::as_text);
  const std::string letters(1 << 20, 'a');
  std::vector<std::int32_t> ids;
  try {
    for (int i = 0; i < 40; ++i) encoder.push(letters, ids);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("no place to cut in 16 MiB of text (it begins with \"aaaa"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace hadal::text
