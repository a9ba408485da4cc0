#include "text/byte_table.h"

#include <algorithm>

#include "text/unicode.h"

namespace hadal::text {

namespace {

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

constexpr std::array<char32_t, 256> kCharacters = [] {
  std::array<char32_t, 256> table{};
  char32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) table[byte] = stands_for_itself(byte) ? byte : next++;
  return table;
}();

constexpr char32_t kLast = 0x143;  // 68 bytes do not stand for themselves

constexpr std::array<int, kLast + 1> kBytes = [] {
  std::array<int, kLast + 1> table{};
  table.fill(-1);
  for (int byte = 0; byte < 256; ++byte) table[kCharacters[static_cast<unsigned>(byte)]] = byte;
  return table;
}();

}  // namespace

std::array<char32_t, 256> byte_characters() { return kCharacters; }

std::array<std::uint8_t, 256> bytes_by_character() {
  std::array<std::uint8_t, 256> order{};
  for (unsigned byte = 0; byte < 256; ++byte) order[byte] = static_cast<std::uint8_t>(byte);
  std::sort(order.begin(), order.end(), [](std::uint8_t a, std::uint8_t b) { return kCharacters[a] < kCharacters[b]; });
  return order;
}

std::string to_byte_characters(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char byte : bytes) append_utf8(out, kCharacters[static_cast<std::uint8_t>(byte)]);
  return out;
}

std::optional<std::string> from_byte_characters(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const char* const end = text.data() + text.size();
  for (const char* p = text.data(); p < end;) {
    const Decoded c = decode_utf8(p, end);
    if (c.code_point > kLast || kBytes[c.code_point] < 0) return std::nullopt;
    out.push_back(static_cast<char>(kBytes[c.code_point]));
    p += c.size;
  }
  return out;
}

}  // namespace hadal::text
