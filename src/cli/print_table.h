// Tables of figures on standard output.
#pragma once

#include "base/report/table.h"

namespace hadal::cli {

// As wide as the terminal at most; into a file or a pipe as wide as it is.
void print_table(const report::Table& table);

}  // namespace hadal::cli
