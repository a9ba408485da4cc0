// Tables and texts on standard output, which may be a terminal.
#pragma once

#include <cstddef>
#include <string>

#include "base/report/table.h"

namespace hadal::cli {

// Characters of a line: the terminal's, less the last one; a file or a pipe has room for any.
std::size_t output_width();

// As wide as the terminal at most; into a file or a pipe as wide as it is.
void print_table(const report::Table& table);

// On a terminal the lines of a text are broken between words; into a file or a pipe it goes as it is.
std::string for_reading(const std::string& text);

}  // namespace hadal::cli
