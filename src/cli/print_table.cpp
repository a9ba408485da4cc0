#include "cli/print_table.h"

#include <fmt/core.h>

#include <limits>

#include "base/terminal.h"

namespace hadal::cli {

void print_table(const report::Table& table) {
  const std::size_t width =
      can_redraw(stdout) ? terminal_size(stdout).columns : std::numeric_limits<std::size_t>::max();
  for (const std::string& line : report::text_table(table, width)) fmt::print("{}\n", line);
}

}  // namespace hadal::cli
