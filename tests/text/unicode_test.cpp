// UTF-8, character classes, NFC: spot checks of the rules that the fixtures cannot reach.
#include "text/unicode.h"

#include <gtest/gtest.h>

#include "text/byte_table.h"
#include "text/normalize.h"
#include "text/scan.h"

namespace hadal::text {
namespace {

TEST(Unicode, EveryCodePointDecodesToItself) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string bytes;
    append_utf8(bytes, c);
    const Decoded decoded = decode_utf8(bytes.data(), bytes.data() + bytes.size());
    ASSERT_EQ(decoded.code_point, c);
    ASSERT_EQ(decoded.size, bytes.size());
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
      bool complete = true;
      ASSERT_EQ(utf8_prefix(bytes.data(), bytes.data() + cut, complete), cut);
      ASSERT_FALSE(complete);
    }
  }
}

TEST(Unicode, InvalidBytesStandAlone) {
  for (const std::string bytes : {"\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                                  "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\x80", "\xFF", "\xE4\xB8", "\xE4\x41"}) {
    const Decoded decoded = decode_utf8(bytes.data(), bytes.data() + bytes.size());
    EXPECT_EQ(decoded.code_point, kInvalid);
    EXPECT_EQ(decoded.size, 1u);
    EXPECT_EQ(scan(bytes.data(), bytes.data() + bytes.size()).kind, CharClass::other);
  }
  EXPECT_EQ(lossy_utf8("a\xE4\xB8z"), "a\uFFFDz");
  EXPECT_EQ(lossy_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(lossy_utf8("\xF0\x9F\x98"), "\uFFFD");
}

TEST(Unicode, ClassesAreThoseOfUnicode16) {
  const auto is = [](char32_t c, CharClass kind) { EXPECT_EQ(char_class(c), kind) << static_cast<std::uint32_t>(c); };
  is(0x10D4A, CharClass::letter);  // Garay, Unicode 16
  is(0x1FAE9, CharClass::symbol);  // a face of Unicode 16
  is(0x10D40, CharClass::number);  // Garay digit zero
  is(0x0897, CharClass::mark);     // Unicode 16
  is(0x180E, CharClass::other);    // no white space since Unicode 6.3
  is(0x85, CharClass::white);
  is(0x2FFFF, CharClass::other);
  is(0x309B, CharClass::symbol);
  is(0x30FB, CharClass::punctuation);
  EXPECT_TRUE(is_word(0x203F) && is_word(0x200D) && is_word(0x24B6) && is_word(0x661) && is_word(0x301));
  EXPECT_FALSE(is_word(0xB2) || is_word('-') || is_word(0x1F600));
  for (char32_t c = 0; c < 128; ++c) {
    const char byte = static_cast<char>(c);
    EXPECT_EQ(scan(&byte, &byte + 1).kind, char_class(c)) << static_cast<std::uint32_t>(c);
  }
}

TEST(Nfc, ComposesReordersAndKeepsInvalidBytes) {
  EXPECT_EQ(nfc("e\u0301"), "é");
  EXPECT_EQ(nfc("plain ascii, déjà composé"), "plain ascii, déjà composé");
  EXPECT_EQ(nfc("\u1100\u1161\u11A8"), "각");
  EXPECT_EQ(nfc("a\u0323\u0302"), nfc("a\u0302\u0323"));
  EXPECT_EQ(nfc("\u212B"), "Å");
  EXPECT_EQ(nfc("e\xFF\u0301"), "e\xFF\u0301");
  EXPECT_EQ(nfc(std::string("\0e\u0301", 4)), std::string("\0é", 3));
  // U+1ABF came with Unicode 13, after the reference's tables: it stays where it is and nothing composes across it.
  EXPECT_EQ(nfc("a\u0302\u1ABF\u0323"), "\u00E2\u1ABF\u0323");
  EXPECT_EQ(nfc("e\u1ABF\u0301"), "e\u1ABF\u0301");
}

TEST(ByteTable, IsABijection) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  const std::string shown = to_byte_characters(all);
  EXPECT_EQ(from_byte_characters(shown), all);
  EXPECT_EQ(to_byte_characters(" \n\x7F\xAD"), "ĠĊġŃ");
  EXPECT_EQ(from_byte_characters("中"), std::nullopt);
  EXPECT_EQ(from_byte_characters(" "), std::nullopt);
  EXPECT_EQ(bytes_by_character()[0], '!');
  EXPECT_EQ(bytes_by_character()[188], 0);  // U+0100 is the 189th
}

}  // namespace
}  // namespace hadal::text
