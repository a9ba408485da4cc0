// English-like text from our own word lists and templates, when no real text can be fetched: structure to learn,
// nothing more.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hadal::data {

// One document of about `bytes` bytes, keyed by (seed, number).
std::string generated_document(std::uint64_t seed, std::uint64_t number, std::size_t bytes);
// The same of a kind: prose, code (functions in C), json, numbers (sums, products, tables). Throws Error for another.
std::string generated_document(std::string_view kind, std::uint64_t seed, std::uint64_t number, std::size_t bytes);

}  // namespace hadal::data
