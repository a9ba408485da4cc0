// UTF-8 decoding that never fails, and the properties of code points (Unicode 16.0, as the reference tokenizers use).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hadal::text {

enum class CharClass : std::uint8_t { other, letter, mark, number, punctuation, symbol, white };

constexpr char32_t kInvalid = 0xFFFFFFFF;  // stands for one byte that is no part of valid UTF-8

struct Decoded {
  char32_t code_point;  // kInvalid for an invalid byte
  std::uint32_t size;   // bytes, >= 1
};

// The character at p; p < end. An overlong form, a surrogate or a value past U+10FFFF is invalid: its first byte alone.
Decoded decode_utf8(const char* p, const char* end);

// Bytes of the longest prefix of [p, end) that begins some valid UTF-8 character; `complete` says it is one whole.
// 0 if the first byte can begin none. p < end.
std::size_t utf8_prefix(const char* p, const char* end, bool& complete);

// Bytes at the end (at most 3) that begin a character which is not complete yet. Two bytes of a surrogate's three
// count, too: Python's incremental decoder, the reference of this, gives them up only with the third.
std::size_t unfinished_utf8(std::string_view bytes);

void append_utf8(std::string& out, char32_t code_point);

// Each maximal prefix of a valid sequence that is not completed becomes one U+FFFD, as everywhere else.
std::string lossy_utf8(std::string_view bytes);

// White space is the reference's \s: 9-13, 20, 85, A0, 1680, 2000-200A, 2028, 2029, 202F, 205F, 3000.
CharClass char_class(char32_t code_point);
bool is_word(char32_t code_point);  // \w: letters, marks, Nd, Nl, Pc, joiners, circled and squared letters

// Whether NFC can change a text because of this character; all others pass through it untouched.
bool nfc_active(char32_t code_point);
// Whether the reference's older NFC tables treat this active character as an ordinary one.
bool nfc_unknown(char32_t code_point);

}  // namespace hadal::text
