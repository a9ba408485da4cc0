// The byte-to-character table of byte-level BPE (GPT-2): tokenizer.json writes every token in these characters.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hadal::text {

// Bytes 33-126, 161-172, 174-255 stand for themselves, the other 68 are U+0100 and up in order.
std::array<char32_t, 256> byte_characters();

// The 256 bytes sorted by their characters: the order of the byte tokens in a trained vocabulary.
std::array<std::uint8_t, 256> bytes_by_character();

std::string to_byte_characters(std::string_view bytes);

// nullopt if a character is not of the table.
std::optional<std::string> from_byte_characters(std::string_view text);

}  // namespace hadal::text
