// Several runs beside each other: what they are called, how their recipes differ, and a page with their curves.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/report/table.h"

namespace hadal::train {

// What tells the folders apart: the shortest ends of their paths that differ. Throws Error for a folder given twice.
std::vector<std::string> distinct_names(const std::vector<std::filesystem::path>& run_dirs);

// The keys whose values differ, a row each under a header with the runs' names. "?" where a run has no recipe.toml, or
// one that this version of the program cannot read; a last row then says why.
report::Table recipe_differences(const std::vector<std::string>& names,
                                 const std::vector<std::filesystem::path>& run_dirs);

// The runs' figures, a row each: last validation, loss, length, speed, and what the validation was of.
report::Table run_table(const std::vector<std::string>& names, const std::vector<std::filesystem::path>& run_dirs);

// Writes `page`: that table, the differences, and curves over tokens. The runs may have models of any shape. Throws
// Error as read_metrics() does, and for a run without a step.
void write_comparison(const std::filesystem::path& page, const std::vector<std::filesystem::path>& run_dirs);

}  // namespace hadal::train
