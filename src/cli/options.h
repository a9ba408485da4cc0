// Options that several verbs share, and what an option that is a number may be. Every such option has one of these
// rules: text that is no number, NaN, infinity, and values that their type cannot hold are refused in one line.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"

namespace hadal::cli {

// A whole number from low to high, decimal, also as 1e6 or 2.5e3.
Rule whole(std::int64_t low, std::int64_t high = std::numeric_limits<std::int64_t>::max());
// A number from low to high, computed with in double.
Rule real(double low, double high);
// The same, computed with in f32: 0, or a magnitude that f32 holds in full precision.
Rule real_f32(double low, double high);
// A number above 0, at most `largest`.
Rule positive(double largest = 1e15);

// Bytes, as 1000000, 8GiB or 1.5g (units are powers of 1024).
Rule byte_size();

// --threads; 0: all CPUs.
void add_threads(Command verb, int& threads);

// A recipe and what stands over it on the command line.
struct RecipeOptions {
  std::string recipe;
  std::vector<std::string> set;  // section.key=value
  std::optional<int> threads;
  std::vector<std::string> overrides() const;  // --set, then train.threads
};
// The argument RECIPE (returned), --set (one value each, so that the recipe may stand behind it) and --threads.
Option add_recipe_options(Command verb, RecipeOptions& options);

}  // namespace hadal::cli
