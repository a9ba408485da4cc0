#include "text/unicode.h"

#include <algorithm>

namespace hadal::text {

namespace {

#include "text/unicode_table.inc"

constexpr unsigned kBlockSize = 128;
constexpr unsigned kWord = 8, kNfcActive = 16, kNfcUnknown = 32;

unsigned properties(char32_t code_point) {
  if (code_point >= 0x110000) return 0;
  const unsigned block = kIndex[code_point / kBlockSize];
  return static_cast<unsigned>(kBlocks[block * kBlockSize + code_point % kBlockSize] - '0');
}

// The second byte's range tells overlong forms, surrogates and values past U+10FFFF apart (Unicode, table 3-7).
struct Lead {
  std::uint32_t size;
  std::uint8_t low, high;
};

Lead lead_of(std::uint8_t byte) {
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte < 0xF0)
    return {3, static_cast<std::uint8_t>(byte == 0xE0 ? 0xA0 : 0x80),
            static_cast<std::uint8_t>(byte == 0xED ? 0x9F : 0xBF)};
  if (byte < 0xF5)
    return {4, static_cast<std::uint8_t>(byte == 0xF0 ? 0x90 : 0x80),
            static_cast<std::uint8_t>(byte == 0xF4 ? 0x8F : 0xBF)};
  return {0, 0, 0};
}

}  // namespace

std::size_t utf8_prefix(const char* p, const char* end, bool& complete) {
  const auto first = static_cast<std::uint8_t>(*p);
  complete = first < 0x80;
  if (complete) return 1;
  const Lead lead = lead_of(first);
  if (lead.size == 0) return 0;
  const std::size_t available = static_cast<std::size_t>(end - p);
  std::size_t n = 1;
  for (; n < lead.size && n < available; ++n) {
    const auto byte = static_cast<std::uint8_t>(p[n]);
    if (byte < (n == 1 ? lead.low : 0x80) || byte > (n == 1 ? lead.high : 0xBF)) return n;
  }
  complete = n == lead.size;
  return n;
}

Decoded decode_utf8(const char* p, const char* end) {
  const auto first = static_cast<std::uint8_t>(*p);
  if (first < 0x80) return {first, 1};
  bool complete = false;
  const std::size_t n = utf8_prefix(p, end, complete);
  if (!complete) return {kInvalid, 1};
  char32_t value = first & (0x7Fu >> n);
  for (std::size_t i = 1; i < n; ++i) value = value << 6 | (static_cast<std::uint8_t>(p[i]) & 0x3Fu);
  return {value, static_cast<std::uint32_t>(n)};
}

std::size_t unfinished_utf8(std::string_view bytes) {
  const char* const end = bytes.data() + bytes.size();
  for (std::size_t back = std::min<std::size_t>(3, bytes.size()); back > 0; --back) {
    const char* p = end - back;
    bool complete = false;
    if (utf8_prefix(p, end, complete) == back && !complete) return back;
    if (back == 2 && p[0] == '\xED' && (p[1] & 0xE0) == 0xA0) return back;
  }
  return 0;
}

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6), put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  }
}

std::string lossy_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  const char* p = bytes.data();
  const char* const end = p + bytes.size();
  while (p < end) {
    bool complete = false;
    const std::size_t n = utf8_prefix(p, end, complete);
    if (complete) {
      out.append(p, n);
    } else {
      append_utf8(out, 0xFFFD);
    }
    p += std::max<std::size_t>(n, 1);
  }
  return out;
}

CharClass char_class(char32_t code_point) { return static_cast<CharClass>(properties(code_point) & 7u); }
bool is_word(char32_t code_point) { return (properties(code_point) & kWord) != 0; }
bool nfc_active(char32_t code_point) { return (properties(code_point) & kNfcActive) != 0; }
bool nfc_unknown(char32_t code_point) { return (properties(code_point) & kNfcUnknown) != 0; }

}  // namespace hadal::text
