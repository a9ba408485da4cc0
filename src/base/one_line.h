// Text that may come from anywhere, as one line of a bounded length: what errors, notes and progress lines are made of.
#pragma once

#include <fmt/core.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace hadal {

// An error as it is printed, with "hadal: error: " before it, in bytes.
inline constexpr std::size_t kMaxLine = 300;
// The text of an Error: kMaxLine less what is printed before it.
inline constexpr std::size_t kMaxMessage = kMaxLine - 14;

// Line ends, control characters, what turns the direction of writing, and invalid UTF-8 are written as escapes (\n,
// \x1b, \u202e). Everything else, backslashes too, stays, so that escaping twice is escaping once.
std::string escaped(std::string_view text);

// At most `most` bytes of valid UTF-8: the middle is replaced by "...". `share` of what is kept is the beginning.
std::string cut(std::string_view text, std::size_t most, double share = 0.67);
// The same, and the last component of a path stays whole where there is room.
std::string cut_path(std::string_view path, std::size_t most);

// A name or value from a file, for messages: escaped and cut.
inline std::string shown(std::string_view value, std::size_t most = 60) { return cut(escaped(value), most); }

// fmt::format, escaped, and at most `most` bytes: long values among the arguments are cut first; the first string
// and strings with a slash, which are names of files as a rule, only where that does not do.
std::string vformat_line(std::size_t most, fmt::string_view format, fmt::format_args args);

template <class... Args>
std::string format_line(fmt::format_string<Args...> format, Args&&... args) {
  return vformat_line(kMaxMessage, format, fmt::make_format_args(args...));
}

}  // namespace hadal
