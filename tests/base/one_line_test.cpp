// Messages are one line of bounded length, whatever stands in the files they speak of.
#include "base/one_line.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace hadal {
namespace {

template <class... Args>
std::string message(fmt::format_string<Args...> format, Args&&... args) {
  try {
    fail(format, std::forward<Args>(args)...);
  } catch (const Error& e) {
    return e.what();
  }
}

TEST(OneLine, ControlCharactersAndInvalidUtf8AreEscaped) {
  EXPECT_EQ(escaped("a\nb\r\tc\x1b[31m\x7f"), "a\\nb\\r\\tc\\x1b[31m\\x7f");
  EXPECT_EQ(escaped("\xff\xc3 \xe2\x82 \xed\xa0\x80 \xc0\x80 \xf4\x90\x80\x80"),
            "\\xff\\xc3 \\xe2\\x82 \\xed\\xa0\\x80 \\xc0\\x80 \\xf4\\x90\\x80\\x80");
  EXPECT_EQ(escaped("\u202egnp.exe\u2028\u0085"), "\\u202egnp.exe\\u2028\\u0085");
  EXPECT_EQ(escaped("Gr\u00fc\u00dfe \u4f60\u597d \U0001f600 \\n"), "Gr\u00fc\u00dfe \u4f60\u597d \U0001f600 \\n");
  EXPECT_EQ(escaped(escaped("\x01\n")), escaped("\x01\n"));
}

TEST(OneLine, CuttingKeepsCharactersWhole) {
  EXPECT_EQ(cut("abcdefghij", 10), "abcdefghij");
  EXPECT_EQ(cut("abcdefghijk", 9), "abcd...jk");
  for (std::size_t most = 3; most < 40; ++most) {
    const std::string text =
        cut("\u4f60\u597d\u4f60\u597d\u4f60\u597d\u4f60\u597d\u4f60\u597d\u4f60\u597d\u4f60\u597d", most);
    EXPECT_LE(text.size(), most);
    EXPECT_EQ(escaped(text), text);
  }
}

TEST(OneLine, PathsAreShortenedInTheMiddleAndKeepTheirLastPart) {
  const std::string folder = "/home/someone/" + std::string(200, 'x');
  const std::string name = "/" + std::string(60, 'y') + ".safetensors";
  const std::string path = cut_path(folder + name, 100);
  EXPECT_EQ(path.size(), 100u);
  EXPECT_TRUE(path.starts_with("/home/"));
  EXPECT_TRUE(path.ends_with(name));
}

TEST(OneLine, AnErrorCutsItsValuesAndKeepsTheFile) {
  const std::string file = "/home/someone/models/deepseek/config.json", value(100000, 'v');
  const std::string text = message("{}: field '{}' = {}: must be {}", file, "hidden_size", value, "an integer");
  EXPECT_LE(text.size(), kMaxMessage);
  EXPECT_TRUE(text.starts_with(file + ": field 'hidden_size' = vvv")) << text;
  EXPECT_TRUE(text.ends_with("vvv: must be an integer")) << text;
  EXPECT_NE(text.find("v...v"), std::string::npos);
}

TEST(OneLine, TheFileIsFoundWhereverItStands) {
  const std::string file = "/data/" + std::string(150, 'd') + "/t.jsonl", value(500, 'v');
  const std::string text = message("cannot {} {}: {} ({})", "open", file, value, 7);
  EXPECT_LE(text.size(), kMaxMessage);
  EXPECT_TRUE(text.starts_with("cannot open " + file + ": vvv")) << text;
  EXPECT_TRUE(text.ends_with("vvv (7)")) << text;
}

TEST(OneLine, ALongFileIsShortenedWhenCuttingTheValueDoesNotDo) {
  const std::string file = "/data/" + std::string(4000, 'd') + "/model.safetensors", value(500, 'v');
  const std::string text = message("{}: tensor '{}' is missing", file, value);
  EXPECT_LE(text.size(), kMaxMessage);
  EXPECT_TRUE(text.starts_with("/data/")) << text;
  EXPECT_NE(text.find("/model.safetensors: tensor 'vvv"), std::string::npos) << text;
}

TEST(OneLine, NumbersAndFormatsStay) {
  EXPECT_EQ(message("{}: {:.2f} {:>4} {} {:016x} {}", "a\nb", 1.0 / 3, 7, true, 255u, 'c'),
            "a\\nb: 0.33    7 true 00000000000000ff c");
}

}  // namespace
}  // namespace hadal
