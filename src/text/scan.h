// One character with its class, ASCII without a table of blocks: what the hand-written matchers step by.
#pragma once

#include <array>

#include "text/unicode.h"

namespace hadal::text {

struct Scanned {
  char32_t code_point;
  std::uint32_t size;
  CharClass kind;
};

namespace detail {
constexpr std::array<CharClass, 128> kAsciiClasses = [] {
  std::array<CharClass, 128> table{};
  for (unsigned c = 0; c < 128; ++c) {
    const char letter = static_cast<char>(c | 0x20);
    CharClass kind = CharClass::punctuation;
    if (c < 32 || c == 127) kind = c >= 9 && c <= 13 ? CharClass::white : CharClass::other;
    if (c == ' ') kind = CharClass::white;
    if (letter >= 'a' && letter <= 'z') kind = CharClass::letter;
    if (c >= '0' && c <= '9') kind = CharClass::number;
    for (const char symbol : {'$', '+', '<', '=', '>', '^', '`', '|', '~'}) {
      if (c == static_cast<unsigned char>(symbol)) kind = CharClass::symbol;
    }
    table[c] = kind;
  }
  // 0x40-0x5F and 0x60-0x7F fold onto the same letters above; these are the ones that are none.
  for (const char c : {'@', '[', '\\', ']', '_', '{', '}'})
    table[static_cast<unsigned char>(c)] = CharClass::punctuation;
  return table;
}();
}  // namespace detail

// The character at p; p < end.
inline Scanned scan(const char* p, const char* end) {
  const auto byte = static_cast<std::uint8_t>(*p);
  if (byte < 0x80) return {byte, 1, detail::kAsciiClasses[byte]};
  const Decoded c = decode_utf8(p, end);
  return {c.code_point, c.size, char_class(c.code_point)};
}

// A set of character classes.
class ClassSet {
 public:
  template <class... Kinds>
  explicit constexpr ClassSet(Kinds... kinds) : bits_(((1u << static_cast<unsigned>(kinds)) | ... | 0u)) {}
  constexpr bool has(CharClass kind) const { return (bits_ >> static_cast<unsigned>(kind) & 1u) != 0; }
  constexpr void add(CharClass kind) { bits_ |= 1u << static_cast<unsigned>(kind); }

 private:
  unsigned bits_;
};

// End of the run of characters of `set` that starts at p.
inline const char* skip(const char* p, const char* end, ClassSet set) {
  while (p < end) {
    const Scanned c = scan(p, end);
    if (!set.has(c.kind)) break;
    p += c.size;
  }
  return p;
}

}  // namespace hadal::text
