// Errors a user can cause are exceptions with one clear line; HADAL_ASSERT is for our own bugs only.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "base/one_line.h"

namespace hadal {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Throws Error with a message that names what is wrong and what would be right. It is one line of bounded length
// (base/one_line.h), whatever the arguments hold: put the name of the file first.
template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(vformat_line(kMaxMessage, format, fmt::make_format_args(args...)));
}

namespace detail {
[[noreturn]] void assert_failed(const char* expression, const char* file, int line);
}

}  // namespace hadal

#define HADAL_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::hadal::detail::assert_failed(#expression, __FILE__, __LINE__))
