// Tables: which columns are numbers, and how they look on a terminal. HtmlReport::table shows the same rows on a page.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace hadal::report {

using Table = std::vector<std::vector<std::string>>;  // the first row is the header; rows may be shorter than it

// "3", "-1.5e-3", "45 %", "1.2M", "3.1 ± 0.2", "4:10", "2.5 GiB": a number, perhaps with a unit.
bool is_number(const std::string& cell);
// For each column whether all of its cells below the header are numbers; "", "-" and "?" can stand in any column.
std::vector<bool> number_columns(const Table& table);

// A line a row, of at most `width` characters: numbers stand right, text left. Where a table is too wide, the widest
// columns are cut.
std::vector<std::string> text_table(const Table& table, std::size_t width);
// The same, but nothing is cut: where a table is too wide, headers and texts are broken between words, and columns that
// find no room then follow below in a table of their own, after an empty line and behind the first column again.
std::vector<std::string> wrapped_table(const Table& table, std::size_t width);

}  // namespace hadal::report
