// From text files to shards: any number of threads, long documents, the validation part, and nothing left of a failure.
#include "data/prepare.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "base/json.h"
#include "data/validation_split.h"
#include "shards.h"

namespace hadal::data {
namespace {

using test::error_of;
using test::TempFolder;
using Texts = std::vector<std::string>;

std::string words(int seed, std::size_t bytes) {
  std::string text;
  for (int i = 0; text.size() < bytes; ++i)
    text += fmt::format("Word {} of text {}, {}é.{}", i, seed, (i % 7) * (i % 7) % 7, i % 9 ? " " : "\n");
  return text;
}

void write_lines(const fs::path& path, const Texts& texts) {
  std::ofstream file(path, std::ios::binary);
  for (const std::string& text : texts) file << json{{"text", text}}.dump() << "\n";
}

Texts texts_of(const fs::path& folder, const text::Tokenizer& t) {
  Texts all;
  for (const Shard& s : open_shards(folder)) {
    for (std::uint64_t d = 0; d < s.info().documents; ++d) {
      std::vector<std::int32_t> ids = s.document(d);
      EXPECT_EQ(ids.back(), t.eos_id());
      ids.pop_back();
      all.push_back(t.decode_bytes(ids));
    }
  }
  return all;
}

std::map<std::string, std::string> files_of(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files[entry.path().lexically_relative(folder).string()] = read_file(entry.path());
  }
  return files;
}

TEST(Prepare, AnyNumberOfThreadsGivesTheSameShards) {
  const TempFolder f;
  const text::Tokenizer t = tokenizer();
  Texts texts;
  for (int i = 0; i < 300; ++i) texts.push_back(words(i, static_cast<std::size_t>(i * 37 % 5000)));
  texts[40] = words(40, 3'000'000);  // long: read in pieces
  texts[0] = "x";
  write_lines(f / "t.jsonl", texts);
  for (const int threads : {1, 2, 5}) {
    const Prepared p = prepare(find_inputs({f / "t.jsonl"}), t, 1, f / std::to_string(threads), {.threads = threads});
    EXPECT_EQ(p.training.documents, 300u);
  }
  EXPECT_EQ(files_of(f / "1"), files_of(f / "2"));
  EXPECT_EQ(files_of(f / "1"), files_of(f / "5"));
  EXPECT_TRUE(texts_of(f / "1", t) == texts);
}

TEST(Prepare, ALongDocumentHasTheIdsOfTheWhole) {
  const TempFolder f;
  const text::Tokenizer t = tokenizer();
  const std::string text = words(1, 2'500'000);
  std::ofstream(f / "t.txt", std::ios::binary) << text;
  prepare(find_inputs({f / "t.txt"}), t, 1, f / "out", {});
  std::vector<std::int32_t> expected = t.encode(text);
  expected.push_back(*t.eos_id());
  EXPECT_TRUE(open_shards(f / "out").at(0).document(0) == expected);
}

TEST(Prepare, AWordWithoutEndIsAnErrorThatNamesTheFile) {
  const TempFolder f;
  std::ofstream(f / "t.txt", std::ios::binary) << "one two\n" << std::string(20 << 20, 'a');
  const std::string error =
      error_of([&] { prepare(find_inputs({f / "t.txt"}), tokenizer(), 1, f / "out", {.threads = 1}); });
  EXPECT_NE(error.find("t.txt: "), std::string::npos) << error;
  EXPECT_NE(error.find("16 MiB"), std::string::npos) << error;
}

TEST(Prepare, AFailureLeavesNothing) {
  const TempFolder f;
  const text::Tokenizer t = tokenizer();
  std::ofstream(f / "t.jsonl") << "{\"text\":\"a\"}\n{\"text\":\n";
  EXPECT_NE(error_of([&] { prepare(find_inputs({f / "t.jsonl"}), t, 1, f / "out", {}); }).find("t.jsonl:2"),
            std::string::npos);
  std::ofstream(f / "e.txt") << "";
  EXPECT_NE(error_of([&] {
              prepare(find_inputs({f / "e.txt"}), t, 1, f / "out", {});
            }).find("empty corpus: no text in 1 input file"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(f / "out"));
  EXPECT_FALSE(fs::exists(f / "out.tmp"));
}

TEST(Prepare, AFolderIsReplacedOnlyWhenAskedAndOnlyIfItIsOurs) {
  const TempFolder f;
  const text::Tokenizer t = tokenizer();
  for (const char* name : {"a", "b"}) std::ofstream(f / (std::string(name) + ".txt")) << name;
  const auto make = [&](const char* input, bool replace) {
    prepare(find_inputs({f / input}), t, 1, f / "out", {.replace = replace});
  };
  make("a.txt", false);
  EXPECT_NE(error_of([&] { make("b.txt", false); }).find("out: exists already: give a new folder, or --force"),
            std::string::npos);
  EXPECT_EQ(texts_of(f / "out", t), Texts{"a"});
  make("b.txt", true);
  EXPECT_EQ(texts_of(f / "out", t), Texts{"b"});
  EXPECT_FALSE(fs::exists(f / "out.tmp"));
  std::ofstream(f / "out/mine.txt") << "mine";
  EXPECT_NE(error_of([&] { make("a.txt", true); }).find("out: holds mine.txt"), std::string::npos);
  EXPECT_EQ(read_file(f / "out/mine.txt"), "mine");
}

TEST(Prepare, ValidationDocumentsAreChosenByTheirText) {
  const TempFolder f;
  const text::Tokenizer t = tokenizer();
  Texts texts;
  for (int i = 0; i < 2000; ++i) texts.push_back(fmt::format("Text number {}.", i));
  const auto parts = [&](const char* name, const Texts& all, std::uint64_t seed) {
    write_lines(f / "t.jsonl", all);
    prepare(find_inputs({f / "t.jsonl"}), t, 1, f / name, {.validation_share = 0.1, .seed = seed});
    return std::pair(texts_of(f / name, t), texts_of(f / name / "validation", t));
  };
  const auto [training, validation] = parts("a", texts, 1);
  EXPECT_NEAR(static_cast<double>(validation.size()), 200, 5 * std::sqrt(2000 * 0.1 * 0.9));
  EXPECT_EQ(training.size() + validation.size(), 2000u);
  // Each is on one side, in the order it came in.
  std::size_t a = 0, b = 0;
  for (const std::string& text : texts) {
    if (a < training.size() && training[a] == text) {
      ++a;
    } else if (b < validation.size() && validation[b] == text) {
      ++b;
    }
  }
  EXPECT_EQ(a + b, 2000u);
  EXPECT_EQ(parts("again", texts, 1).second, validation);
  EXPECT_NE(parts("other", texts, 2).second, validation);
  // More documents, and another order: those of before stay on their side.
  Texts more(texts.rbegin(), texts.rend());
  more.insert(more.begin(), {"One more.", texts[5]});
  const auto grown = parts("grown", more, 1).second;
  EXPECT_TRUE(std::all_of(validation.begin(), validation.end(), [&](const std::string& text) {
    return std::find(grown.begin(), grown.end(), text) != grown.end();
  }));
  EXPECT_LE(grown.size(), validation.size() + 2);
}

TEST(Prepare, OneLongDocumentGivesAValidationPart) {
  const TempFolder f;
  const text::Tokenizer t = tokenizer();
  const std::string text = words(1, 2'000'000);
  std::ofstream(f / "t.txt", std::ios::binary) << text;
  const Prepared p = prepare(find_inputs({f / "t.txt"}), t, 1, f / "out", {.validation_share = 0.05, .seed = 1});
  EXPECT_NEAR(static_cast<double>(p.validation.text_bytes), 100'000, 20'000);
  EXPECT_EQ(p.validation.text_bytes + p.training.text_bytes, text.size());
  // The parts put together again are the text: each goes on where one of the other side ended.
  const Texts training = texts_of(f / "out", t), validation = texts_of(f / "out/validation", t);
  std::string all;
  std::size_t a = 0, b = 0;
  while (a < training.size() || b < validation.size()) {
    const bool first = a < training.size() && text.compare(all.size(), training[a].size(), training[a]) == 0;
    ASSERT_TRUE(first || b < validation.size());
    all += first ? training[a++] : validation[b++];
    EXPECT_TRUE(all.size() == text.size() || all.back() == '\n');
  }
  EXPECT_TRUE(all == text);
}

TEST(Prepare, AnEmptySideIsSaid) {
  const TempFolder f;
  const text::Tokenizer t = tokenizer();
  std::ofstream(f / "t.txt") << "short";
  for (const double share : {0.001, 0.99}) {
    const std::string error =
        error_of([&] { prepare(find_inputs({f / "t.txt"}), t, 1, f / "out", {.validation_share = share}); });
    EXPECT_NE(error.find("nothing of the 1 document (5 bytes of text) was chosen for"), std::string::npos) << error;
  }
  EXPECT_FALSE(fs::exists(f / "out"));
}

// Every share of the blocks of a long document, wherever the pieces it comes in end.
TEST(ValidationSplit, KeepsTheShareAndTheText) {
  const std::string text = words(2, 3'000'000);
  for (const double share : {0.01, 0.3, 0.5, 0.7, 0.99}) {
    std::string reference[2];
    for (const std::size_t piece : {text.size(), std::size_t{100'000}, std::size_t{777}}) {
      std::string all, parts[2];
      int documents = 0;
      ValidationSplit split(share, 7, [&](std::string_view p, bool last, int part) {
        all += p;
        parts[part] += p;
        documents += last;
        if (last) parts[part] += '\0';
      });
      for (std::size_t at = 0; at < text.size(); at += piece)
        split.add(std::string_view(text).substr(at, piece), at + piece >= text.size());
      EXPECT_TRUE(all == text);
      EXPECT_NEAR(static_cast<double>(parts[1].size()) / static_cast<double>(text.size()), share, 0.02) << share;
      if (piece == text.size()) reference[0] = parts[0], reference[1] = parts[1];
      EXPECT_TRUE(parts[0] == reference[0] && parts[1] == reference[1]) << share << " " << piece;
    }
  }
}

}  // namespace
}  // namespace hadal::data
