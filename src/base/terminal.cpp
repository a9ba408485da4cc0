#include "base/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace hadal {

namespace {

std::size_t from_environment(const char* name, std::size_t otherwise) {
  const char* text = std::getenv(name);
  const long value = text != nullptr ? std::strtol(text, nullptr, 10) : 0;
  return value > 0 && value < 10000 ? static_cast<std::size_t>(value) : otherwise;
}

}  // namespace

bool can_redraw(std::FILE* out) {
  const char* term = std::getenv("TERM");
  return isatty(fileno(out)) == 1 && (term == nullptr || std::string_view(term) != "dumb");
}

bool shows_colour(std::FILE* out) {
  const char* no_colour = std::getenv("NO_COLOR");
  return can_redraw(out) && (no_colour == nullptr || *no_colour == '\0');
}

TerminalSize terminal_size(std::FILE* out) {
  winsize size{};
  if (::ioctl(fileno(out), TIOCGWINSZ, &size) != 0) size = {};
  return {size.ws_col > 0 ? size.ws_col : from_environment("COLUMNS", 80),
          size.ws_row > 0 ? size.ws_row : from_environment("LINES", 24)};
}

}  // namespace hadal
