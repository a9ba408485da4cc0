// Options that several verbs share, and what an option that is a number may be. Every such option has one of these
// validators: text that is no number, NaN, infinity, and values that their type cannot hold are refused in one line.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
class Validator;
}  // namespace CLI

namespace hadal::cli {

// For add_option(...)->transform(): a whole number from low to high, decimal, also as 1e6 or 2.5e3.
CLI::Validator whole(std::int64_t low, std::int64_t high = std::numeric_limits<std::int64_t>::max());
// For ->transform(): a number from low to high, computed with in double.
CLI::Validator real(double low, double high);
// The same, computed with in f32: 0, or a magnitude that f32 holds in full precision.
CLI::Validator real_f32(double low, double high);
// For ->check(): a number above 0, at most `largest`.
CLI::Validator positive(double largest = 1e15);

// For ->transform(): bytes, as 1000000, 8GiB or 1.5g (units are powers of 1024).
CLI::Validator byte_size();

// --threads; 0: all CPUs.
void add_threads(CLI::App& verb, int& threads);

// A recipe and what stands over it on the command line.
struct RecipeOptions {
  std::string recipe;
  std::vector<std::string> set;  // section.key=value
  std::optional<int> threads;
  std::vector<std::string> overrides() const;  // --set, then train.threads
};
// The argument RECIPE (returned), --set (one value each, so that the recipe may stand behind it) and --threads.
CLI::Option* add_recipe_options(CLI::App& verb, RecipeOptions& options);

}  // namespace hadal::cli
