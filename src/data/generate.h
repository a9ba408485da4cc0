// English-like text from our own word lists and templates, when no real text can be fetched: structure to learn,
// nothing more.
#pragma once

#include <cstdint>
#include <string>

namespace hadal::data {

// One document of about `bytes` bytes, keyed by (seed, number).
std::string generated_document(std::uint64_t seed, std::uint64_t number, std::size_t bytes);

}  // namespace hadal::data
