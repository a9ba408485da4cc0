// Reading text files: every form, packing and damage.
#include "data/documents.h"

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <fstream>
#include <random>

#include "base/file.h"
#include "support/temp_folder.h"

namespace hadal::data {
namespace {

using test::error_of;
using test::TempFolder;
using Texts = std::vector<std::string>;

void write(const fs::path& path, std::string_view content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

std::string zstd(const std::string& content) {
  std::string out(ZSTD_compressBound(content.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), content.data(), content.size(), 3));
  return out;
}

std::string gzip(std::string content) {
  std::string out(content.size() + 1000, '\0');
  z_stream s{};
  deflateInit2(&s, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  s.next_in = reinterpret_cast<Bytef*>(content.data());
  s.avail_in = static_cast<uInt>(content.size());
  s.next_out = reinterpret_cast<Bytef*>(out.data());
  s.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&s, Z_FINISH), Z_STREAM_END);
  out.resize(out.size() - s.avail_out);
  deflateEnd(&s);
  return out;
}

struct Read {
  Texts texts;
  ReadCounts counts;
};

Read read(const std::vector<std::string>& names, const ReadOptions& options = {}, std::optional<Form> form = {}) {
  Read r;
  std::string text;
  r.counts = read_documents(find_inputs(names, form), options, [&](std::string_view piece, bool last) {
    EXPECT_TRUE(!piece.empty() || last);
    text += piece;
    if (last) r.texts.push_back(std::exchange(text, {}));
  });
  EXPECT_EQ(text, "");
  EXPECT_EQ(r.counts.documents, r.texts.size());
  return r;
}

// Texts of 2 MB with characters of every length, so that pieces end inside of some.
std::string long_text() {
  std::mt19937 random(3);
  std::string text;
  while (text.size() < 2'000'000) {
    for (const char* part : {"ab", "é", "漢", "🙂", "\n", " "}) {
      for (auto n = random() % 4; n > 0; --n) text += part;
    }
  }
  return text;
}

TEST(Documents, ATextFileIsOneDocumentWhateverItsPacking) {
  const TempFolder f;
  const std::string text = long_text();
  write(f / "a.txt", text);
  write(f / "a.txt.gz", gzip(text));
  write(f / "a.txt.zst", zstd(text));
  write(f / "two.md.gz", gzip(text) + gzip("end"));
  write(f / "two.py.zst", zstd(text) + zstd("end"));
  write(f / "padded.md.gz", gzip(text) + std::string(1000, '\0'));
  for (const char* name : {"a.txt", "a.txt.gz", "a.txt.zst", "padded.md.gz"})
    EXPECT_TRUE(read({f / name}).texts == Texts{text}) << name;
  for (const char* name : {"two.md.gz", "two.py.zst"})
    EXPECT_TRUE(read({f / name}).texts == Texts{text + "end"}) << name;
}

TEST(Documents, PiecesAreNeverCutInsideACharacter) {
  const TempFolder f;
  write(f / "a.txt", long_text());
  std::size_t pieces = 0;
  read_documents(find_inputs({f / "a.txt"}), {}, [&](std::string_view piece, bool) {
    ++pieces;
    EXPECT_NE(static_cast<unsigned char>(piece.empty() ? 'x' : piece[0]) & 0xC0, 0x80);
  });
  EXPECT_GT(pieces, 5u);
}

TEST(Documents, LineEndsAndByteOrderMarks) {
  const TempFolder f;
  write(f / "crlf.txt",
        "\xef\xbb\xbf"
        "one\r\ntwo\rthree\r\r\nfour\r");
  const Read r = read({f / "crlf.txt"});
  EXPECT_EQ(r.texts, Texts{"one\ntwo\rthree\r\nfour\r"});
  EXPECT_EQ(r.counts.crlf_files, 1u);
  // Wherever CR and LF fall between the pieces that are read.
  std::string crlf, lf;
  for (int i = 0; i < 300'000; ++i) crlf += i % 7 == 0 ? "\r\n" : "x", lf += i % 7 == 0 ? "\n" : "x";
  for (int shift = 0; shift < 3; ++shift) {
    write(f / "long.txt", std::string(static_cast<std::size_t>(shift), 'y') + crlf);
    EXPECT_TRUE(read({f / "long.txt"}).texts == Texts{std::string(static_cast<std::size_t>(shift), 'y') + lf});
  }
  write(f / "crlf.jsonl", "\xef\xbb\xbf{\"text\":\"a\\r\\nb\"}\r\n\r\n{\"text\":\"c\"}\r\n");
  EXPECT_EQ(read({f / "crlf.jsonl"}).texts, (Texts{"a\r\nb", "c"}));
}

TEST(Documents, OtherEncodingsAreRefusedWithWhatToDo) {
  const TempFolder f;
  write(f / "le.txt", std::string("\xff\xfe"
                                  "a\0b\0",
                                  6));
  write(f / "be.jsonl", std::string("\xfe\xff\0{", 4));
  for (const char* name : {"le.txt", "be.jsonl"}) {
    const std::string error = error_of([&] { read({f / name}); });
    EXPECT_NE(error.find(std::string(name) + ": it is UTF-16"), std::string::npos) << error;
    EXPECT_NE(error.find("iconv"), std::string::npos) << error;
    EXPECT_EQ(read({f / name}, {.skip_bad = true}).counts.bad_files, 1u);
  }
  write(f / "latin.txt", "one\ncaf\xe9 \xff\n");  // kept, and said
  const Read r = read({f / "latin.txt"});
  EXPECT_EQ(r.texts, Texts{"one\ncaf\xe9 \xff\n"});
  EXPECT_EQ(r.counts.invalid_bytes, 2u);
  EXPECT_NE(r.counts.first_invalid.find("latin.txt:2"), std::string::npos);
}

TEST(Documents, NulBytes) {
  const TempFolder f;
  write(f / "near.txt", std::string("ab\0c", 4));
  EXPECT_NE(error_of([&] { read({f / "near.txt"}); }).find("near.txt: no text file: byte 3 is NUL"), std::string::npos);
  const std::string lines = std::string(5000, 'x') + "\n" + std::string(5000, 'y') + "\n";
  write(f / "far.txt", lines + std::string("a\0b", 3));
  EXPECT_NE(error_of([&] { read({f / "far.txt"}); }).find("far.txt:3: a NUL byte"), std::string::npos);
  const Read r = read({f / "far.txt"}, {.skip_bad = true});
  EXPECT_EQ(r.texts, Texts{lines + "ab"});
  EXPECT_EQ(r.counts.nul_bytes, 1u);
  write(f / "folder/binary.txt", std::string(20, '\0'));
  write(f / "folder/text.txt", "x");
  const Read folder = read({f / "folder"});
  EXPECT_EQ(folder.texts, Texts{"x"});
  EXPECT_EQ(folder.counts.binary_files, 1u);
}

TEST(Documents, EveryDamagedLineIsNamed) {
  const TempFolder f;
  const std::vector<std::pair<std::string, std::string>> damages = {
      {std::string("{\"text\":\"a\"}\0{\"text\":\"lost\"}", 28), "NUL byte at column 13"},
      {std::string("{\"text\":\"a\0b\"}", 14), "NUL byte at column 11"},
      {std::string("\0\0\0", 3), "NUL byte at column 1"},
      {"{\"text\":", "not valid JSON at column"},
      {"{\"text\":\"a\"} {\"text\":\"b\"}", "not valid JSON at column"},
      {"{\"text\":\"\\ud800\"}", "not valid JSON at column"},
      {"{\"text\":\"\\udc00 x\"}", "not valid JSON at column"},
      {"{\"text\":\"caf\xe9\"}", "not valid JSON at column"},
      {"{\"text\":\"a\",\"score\":1e999}", "1e999"},
      {"{\"text\":\"a\",\"score\":NaN}", "not valid JSON at column"},
      {"{\"content\":\"a\"}", "has no key 'text'"},
      {"{\"meta\":{\"text\":\"a\"}}", "has no key 'text'"},
      {"{\"text\":null}", "'text' is null: it must be a string"},
      {"{\"text\":5}", "'text' is a number"},
      {"{\"text\":true}", "'text' is true or false"},
      {"{\"text\":[\"a\"]}", "'text' is an array"},
      {"{\"text\":{\"text\":\"a\"}}", "'text' is an object"},
      {"{\"text\":\"a\",\"text\":\"b\"}", "'text' is there twice"},
      {"\"a\"", "must be a JSON object"},
      {"[{\"text\":\"a\"}]", "--format json"},
      {"17", "must be a JSON object"},
  };
  for (const auto& [line, what] : damages) {
    for (const char* packed : {"", ".gz", ".zst"}) {
      const std::string content = "{\"text\":\"first\"}\n\n" + line + "\n{\"text\":\"last\"}", name = "t.jsonl";
      write(f / (name + packed), *packed == 0 ? content : packed == std::string(".gz") ? gzip(content) : zstd(content));
      const std::string error = error_of([&] { read({f / (name + packed)}); });
      EXPECT_NE(error.find(name + packed + ":3: "), std::string::npos) << error;
      EXPECT_NE(error.find(what), std::string::npos) << error;
      const Read r = read({f / (name + packed)}, {.skip_bad = true});
      EXPECT_EQ(r.texts, (Texts{"first", "last"})) << line;
      EXPECT_EQ(r.counts.bad_values, 1u);
      EXPECT_NE(r.counts.first_bad.find(":3: "), std::string::npos);
    }
  }
}

TEST(Documents, AllOtherFieldsArePassedOver) {
  const TempFolder f;
  write(f / "t.jsonl",
        "{\"a\":{\"text\":\"no\",\"b\":[1,-2.5e3,null,true,{\"text\":7}]},\"text\":\"yes "
        "\\u00e9\\ud83d\\ude42\\u0000\\\"\"}\n"
        "{\"text\":\"\"}\n" +
            std::string("{\"text\":\"deep\",\"x\":") + std::string(100'000, '[') + std::string(100'000, ']') +
            "}\n{\"body\":\"other\",\"text\":\"x\"}\n");
  const Read r = read({f / "t.jsonl"});
  EXPECT_EQ(r.texts, (Texts{std::string("yes é🙂\0\"", 12), "deep", "x"}));
  EXPECT_EQ(r.counts.empty_documents, 1u);
  EXPECT_EQ(read({f / "t.jsonl"}, {.json_key = "body", .skip_bad = true}).texts, Texts{"other"});
}

TEST(Documents, LinesLongerThanWhatIsReadAtATime) {
  const TempFolder f;
  const Texts expected = {std::string(3'000'000, 'a'), "b", std::string(700'000, 'c')};
  std::string content;
  for (const std::string& text : expected) content += "{\"text\":\"" + text + "\"}\n";
  content.pop_back();
  write(f / "t.jsonl", content);
  EXPECT_TRUE(read({f / "t.jsonl"}).texts == expected);
}

TEST(Documents, JsonIsAnArrayOrObjectsOneAfterTheOther) {
  const TempFolder f;
  const std::string a = "{\n  \"text\": \"a } ] \\\" \\\\\",\n  \"more\": [1, {\"x\": \"]\"}]\n}",
                    b = "{\"text\":\"b\"}";
  const Texts expected = {"a } ] \" \\", "b"};
  for (const std::string& content : {"[" + a + "," + b + "]", " [\n" + a + " ,\n" + b + "\n]\n", a + "\n" + b, a + b}) {
    write(f / "t.json", content);
    EXPECT_EQ(read({f / "t.json"}).texts, expected) << content;
  }
  std::string many = "[";
  for (int i = 0; i < 50'000; ++i) many += fmt::format("{}{{\"text\": \"number {}\"}}", i > 0 ? ",\n" : "", i);
  write(f / "t.json", many + "]");
  const Read r = read({f / "t.json"});
  ASSERT_EQ(r.texts.size(), 50'000u);
  EXPECT_EQ(r.texts.back(), "number 49999");
  write(f / "t.json", "[]");
  EXPECT_EQ(read({f / "t.json"}).texts, Texts{});
}

TEST(Documents, DamagedJsonNamesItsLine) {
  const TempFolder f;
  const std::vector<std::pair<std::string, std::string>> damages = {
      {"[\n{\"text\":\"a\"},\n{\"text\":5}\n]", ":3: 'text' is a number"},
      {"[\n{\"text\":\"a\"}\n", ":3: the array has no end"},
      {"[\n{\"text\":\"a\"},\n{\"text\":\"b", ":3: the value that begins here has no end"},
      {"[\n{\"text\":\"a\"}\n{\"text\":\"b\"}]", ":3: a comma or ] must follow"},
      {"[\n{\"text\":\"a\"},\n]", ":3: must be a JSON object"},
      {"[\n{\"text\":\"a\"}]\n{\"text\":\"b\"}", ":3: more text after the end of the array"},
      {"\n{\"text\":\"a\"}\nb", ":3: must be a JSON object"},
      {std::string("[\n{\"text\":\"a\"},\n{\"text\":\"\0\"}]", 29), ":3: a NUL byte"},
  };
  for (const auto& [content, what] : damages) {
    write(f / "t.json", content);
    EXPECT_NE(error_of([&] { read({f / "t.json"}); }).find("t.json" + what), std::string::npos) << content;
    const Read r = read({f / "t.json"}, {.skip_bad = true});
    EXPECT_EQ(r.texts, Texts{"a"}) << content;
    EXPECT_EQ(r.counts.bad_values, 1u) << content;
  }
}

TEST(Documents, PackedFilesThatAreCutOrDamaged) {
  const TempFolder f;
  std::string content;
  std::mt19937 random(5);
  for (int i = 0; i < 20'000; ++i) content += fmt::format("{{\"text\":\"{} {}\"}}\n", i, random());
  for (const char* ending : {".gz", ".zst"}) {
    const std::string packed = ending == std::string(".gz") ? gzip(content) : zstd(content);
    const fs::path file = f / (std::string("t.jsonl") + ending);
    write(file, packed.substr(0, packed.size() * 2 / 3));
    EXPECT_NE(error_of([&] { read({file}); }).find(file.string() + ": truncated"), std::string::npos) << ending;
    const Read r = read({file}, {.skip_bad = true});
    EXPECT_EQ(r.counts.cut_files, 1u);
    EXPECT_GT(r.texts.size(), 5'000u);
    EXPECT_LT(r.texts.size(), 20'000u);
    write(file, packed.substr(0, packed.size() / 2) + std::string(64, 'x') + packed.substr(packed.size() / 2));
    EXPECT_NE(error_of([&] { read({file}); }).find("t.jsonl"), std::string::npos) << ending;
    write(file, packed + "more");
    EXPECT_NE(error_of([&] { read({file}); }).find("not readable as"), std::string::npos) << ending;
    write(file, "{\"text\":\"not packed\"}\n");
    EXPECT_NE(error_of([&] { read({file}); }).find("not readable as"), std::string::npos) << ending;
    write(file, "");
    EXPECT_EQ(read({file}).texts, Texts{});
  }
}

TEST(Documents, EmptyFilesAreCounted) {
  const TempFolder f;
  write(f / "a.txt", "");
  write(f / "b.txt", "\xef\xbb\xbf");
  write(f / "c.txt", "c");
  const Read r = read({f / "a.txt", f / "b.txt", f / "c.txt"});
  EXPECT_EQ(r.texts, Texts{"c"});
  EXPECT_EQ(r.counts.empty_documents, 2u);
}

std::vector<std::string> names_of(const Inputs& inputs, const fs::path& folder) {
  std::vector<std::string> names;
  for (const InputFile& file : inputs.files) names.push_back(file.path.lexically_relative(folder).string());
  return names;
}

TEST(Inputs, FoldersAreSearchedForTextInOrder) {
  const TempFolder f;
  for (const char* name : {"b.md", "a.txt", "sub/c.py", "sub/deep/d.JSONL", "sub/Makefile", "e.txt.gz", "x.png",
                           "y.png", ".hidden.txt", ".git/config.txt", "package.json", "z"})
    write(f / name, "x");
  fs::create_directory_symlink(f / "sub", f / "sub/round");
  const Inputs found = find_inputs({f / ""});
  EXPECT_EQ(names_of(found, f / ""),
            (Texts{"a.txt", "b.md", "e.txt.gz", "sub/Makefile", "sub/c.py", "sub/deep/d.JSONL"}));
  EXPECT_EQ(found.bytes, 6u);
  ASSERT_EQ(found.notes.size(), 1u);
  EXPECT_NE(found.notes[0].find("left out: 1 .json, 2 .png, 2 hidden, 1 linked folders, 1 without an ending"),
            std::string::npos)
      << found.notes[0];
  write(f / "none/x.png", "x");
  EXPECT_NE(error_of([&] { find_inputs({f / "none"}); }).find("no file of text in this folder; left out: 1 .png"),
            std::string::npos);
}

TEST(Inputs, GlobsThatTheShellDidNotExpand) {
  const TempFolder f;
  for (const char* name : {"a.txt", "b.txt", "b.md", "s/a.txt", "s/t/a.txt", "s/.h/a.txt", "[x].txt"})
    write(f / name, "x");
  const auto find = [&](const std::string& glob) { return names_of(find_inputs({f / glob}), f / ""); };
  EXPECT_EQ(find("*.txt"), (Texts{"[x].txt", "a.txt", "b.txt"}));
  EXPECT_EQ(find("?.md"), (Texts{"b.md"}));
  EXPECT_EQ(find("[ac].txt"), (Texts{"a.txt"}));
  EXPECT_EQ(find("[x].txt"), (Texts{"[x].txt"}));  // a file of that very name
  EXPECT_EQ(find("*/a.txt"), (Texts{"s/a.txt"}));
  EXPECT_EQ(find("**/a.txt"), (Texts{"a.txt", "s/a.txt", "s/t/a.txt"}));
  EXPECT_EQ(find("s/**/*"), (Texts{"s/a.txt", "s/t/a.txt"}));
  EXPECT_NE(error_of([&] { find("*.rst"); }).find("none that matches it"), std::string::npos);
}

TEST(Inputs, WhatIsNamedMustBeThereAndText) {
  const TempFolder f;
  write(f / "a.pdf", "%PDF");
  write(f / "a.unheard", "text");
  EXPECT_NE(error_of([&] { find_inputs({f / "none.txt"}); }).find("none.txt: there is no such file"),
            std::string::npos);
  EXPECT_NE(error_of([&] { find_inputs({f / "a.pdf"}); }).find("a.pdf: .pdf files cannot be read"), std::string::npos);
  EXPECT_NE(error_of([&] { find_inputs({""}); }).find("empty name"), std::string::npos);
  EXPECT_EQ(read({f / "a.unheard"}).texts, Texts{"text"});
  const Inputs twice = find_inputs({f / "a.unheard", f / "./a.unheard"});
  EXPECT_EQ(twice.files.size(), 1u);
  EXPECT_EQ(twice.notes, Texts{"1 file named more than once: each is read once"});
}

TEST(Inputs, AFormForAllOfThem) {
  const TempFolder f;
  write(f / "a.txt", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n");
  write(f / "a.data", "[{\"text\":\"a\"},{\"text\":\"b\"}]");
  EXPECT_EQ(read({f / "a.txt"}, {}, Form::json_lines).texts, (Texts{"a", "b"}));
  EXPECT_EQ(read({f / "a.data"}, {}, Form::json).texts, (Texts{"a", "b"}));
}

}  // namespace
}  // namespace hadal::data
