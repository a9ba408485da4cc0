// The text that tokenizers are measured on: prose, code, CJK, mixed Unicode and numbers in equal parts, always the
// same.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hadal::data {

// Documents of about 4,000 bytes, kind by kind in turn, `bytes` in all (and at most a document more), valid UTF-8.
// Words are made of syllables or drawn from the letters of a script, frequent ones and many rare ones; a function of
// the seed alone.
std::vector<std::string> mixed_text(std::uint64_t seed, std::size_t bytes);

}  // namespace hadal::data
