#include "cli/options.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "base/error.h"

namespace hadal::cli {

namespace {

// The whole text as a decimal number; nothing for anything else, NaN and infinity included.
std::optional<double> decimal(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  // 1e6: exact up to 2^53, where a double still holds every integer.
  const std::optional<double> d = decimal(text);
  if (!d || *d != std::floor(*d) || std::abs(*d) >= 0x1p53) return std::nullopt;
  return static_cast<std::int64_t>(*d);
}

std::string range_text(double low, double high) {
  return high == std::numeric_limits<double>::max() ? fmt::format("of {} or more", low)
                                                    : fmt::format("from {} to {}", low, high);
}

Rule number(double low, double high, bool f32) {
  return Rule{[=](std::string& text) -> std::string {
                const std::optional<double> v = decimal(text);
                if (!v || *v < low || *v > high)
                  return fmt::format("{} must be a number {}", text, range_text(low, high));
                const double least = std::numeric_limits<float>::min();
                if (f32 && *v != 0 && std::abs(*v) < least)
                  return fmt::format("{} must be 0 or at least {:.3g}: it is computed with in f32", text, least);
                return "";
              },
              "NUMBER"};
}

}  // namespace

Rule whole(std::int64_t low, std::int64_t high) {
  return Rule{[=](std::string& text) -> std::string {
                const std::optional<std::int64_t> v = whole_number(text);
                if (!v || *v < low || *v > high) {
                  return high == std::numeric_limits<std::int64_t>::max()
                             ? fmt::format("{} must be a whole number, {} or more", text, low)
                             : fmt::format("{} must be a whole number from {} to {}", text, low, high);
                }
                text = std::to_string(*v);
                return "";
              },
              "INT"};
}

Rule real(double low, double high) { return number(low, high, false); }

Rule real_f32(double low, double high) { return number(low, high, true); }

Rule positive(double largest) {
  return Rule{[largest](std::string& text) -> std::string {
                const std::optional<double> v = decimal(text);
                if (v && *v > 0 && *v <= largest) return "";
                return fmt::format("{} must be a number above 0{}", text,
                                   v && *v > largest ? fmt::format(", at most {}", largest) : "");
              },
              "NUMBER"};
}

Rule byte_size() {
  return Rule{[](std::string& text) -> std::string {
                double value = 0;
                const char* end = text.data() + text.size();
                const auto [rest, error] = std::from_chars(text.data(), end, value);
                std::string unit(rest, end);
                std::transform(unit.begin(), unit.end(), unit.begin(), [](unsigned char c) { return std::tolower(c); });
                double factor = unit.empty() || unit == "b" ? 1 : 0;
                for (std::size_t k = 0; k < 6; ++k) {
                  const std::string letter(1, "kmgtpe"[k]);
                  if (unit == letter || unit == letter + "b" || unit == letter + "i" || unit == letter + "ib")
                    factor = std::exp2(10.0 * static_cast<double>(k + 1));
                }
                if (error != std::errc() || factor == 0 || !(value >= 0 && value * factor < 0x1p62))
                  return fmt::format("{} must be a number of bytes, as 1000000, 8GiB or 1.5g", text);
                text = std::to_string(static_cast<std::int64_t>(value * factor));
                return "";
              },
              "BYTES"};
}

void add_threads(Command verb, int& threads) {
  verb.add_option("--threads", threads, "threads to compute with; 0: all CPUs").rule(whole(0, 1024));
}

std::vector<std::string> RecipeOptions::overrides() const {
  std::vector<std::string> all = set;
  if (threads) all.push_back(fmt::format("train.threads={}", *threads));
  return all;
}

Option add_recipe_options(Command verb, RecipeOptions& options) {
  Option recipe = verb.add_option("recipe", options.recipe, "TOML file (recipes/README.md)").required();
  verb.add_option("--set", options.set, "section.key=value, over the recipe; may be given several times")
      .one_value_each();
  verb.add_option("--threads", options.threads, "over train.threads: threads to compute with; 0: all CPUs")
      .rule(whole(0, 1024));
  return recipe;
}

}  // namespace hadal::cli
