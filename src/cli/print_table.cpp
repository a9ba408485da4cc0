#include "cli/print_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "base/terminal.h"
#include "base/wrap.h"

namespace hadal::cli {

// The last column stays free: some terminals go on to the next row as soon as it is written.
std::size_t output_width() {
  return can_redraw(stdout) ? terminal_size(stdout).columns - 1 : std::numeric_limits<std::size_t>::max();
}

void print_table(const report::Table& table) {
  for (const std::string& line : report::wrapped_table(table, output_width())) fmt::print("{}\n", line);
}

std::string for_reading(const std::string& text) {
  if (!can_redraw(stdout)) return text;
  std::string out;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    out += wrapped(std::string_view(text).substr(begin, end - begin), output_width()) + (end < text.size() ? "\n" : "");
    begin = end + 1;
  }
  return out;
}

}  // namespace hadal::cli
