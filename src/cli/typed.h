// Text as people type, pipe and save it: with the line ends of other systems, a byte order mark, an encoding that is
// not UTF-8.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace hadal::cli {

// CRLF and lone CR become LF, UTF-8's byte order mark at the beginning goes. Throws Error naming `source` and the first
// byte that is no UTF-8 (and UTF-16 by name).
std::string clean_text(std::string_view text, const std::string& source);

// Everything that is left on standard input. Throws Error if it cannot be read.
std::string read_standard_input();

// A prompt from a file, or from standard input as "-": cleaned, without the one line end that editors and echo put at
// the end. Throws Error naming the file.
std::string read_prompt(const std::filesystem::path& path);

}  // namespace hadal::cli
