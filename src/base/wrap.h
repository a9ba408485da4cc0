// Text in lines that fit a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace hadal {

// Broken between words into lines of at most `width` characters; a longer word stands on a line of its own. The first
// line begins in column `used`, the others with `indent` spaces. No line end behind the last one.
std::string wrapped(std::string_view text, std::size_t width, std::size_t used = 0, std::size_t indent = 0);

}  // namespace hadal
