#include <array>
#include <cctype>

#include <fmt/format.h>

#include "base/error.h"
#include "base/rng.h"
#include "data/generate.h"

namespace hadal::data {

namespace {

constexpr std::array<std::string_view, 16> kFields = {"count", "weight", "name",  "height", "index", "colour",
                                                      "speed", "label",  "total", "first",  "last",  "price",
                                                      "depth", "offset", "state", "owner"};
constexpr std::array<std::string_view, 8> kWords = {"amber", "cobalt", "linen", "maple",
                                                    "north", "slate",  "tulip", "west"};

std::string_view field(Rng& random) { return kFields[random.below(kFields.size())]; }
std::string_view word(Rng& random) { return kWords[random.below(kWords.size())]; }

// A sum, a product or a row of a table: the result can be worked out from what stands before it.
std::string numbers_line(Rng& random) {
  const std::uint64_t a = random.below(1000), b = random.below(1000);
  switch (random.below(4)) {
    case 0:
      return fmt::format("{} + {} = {}\n", a, b, a + b);
    case 1:
      return fmt::format("{} * {} = {}\n", a % 100, b % 100, (a % 100) * (b % 100));
    case 2:
      return fmt::format("{:.2f}, {:.2f}, {:.2f}\n", 0.01 * static_cast<double>(a), 0.01 * static_cast<double>(b),
                         0.01 * static_cast<double>(a + b));
    default:
      return fmt::format("{}, {}, {}, {}, {}\n", a, a + b % 10, a + 2 * (b % 10), a + 3 * (b % 10), a + 4 * (b % 10));
  }
}

std::string json_value(Rng& random, int depth) {
  switch (random.below(depth > 2 ? 3 : 5)) {
    case 0:
      return fmt::format("{}", random.below(10000));
    case 1:
      return fmt::format("\"{}\"", word(random));
    case 2:
      return random.below(2) == 0 ? "true" : "null";
    case 3: {
      std::string list = "[";
      for (std::uint64_t i = 0, n = 1 + random.below(4); i < n; ++i)
        list += fmt::format("{}{}", i == 0 ? "" : ", ", random.below(100));
      return list + "]";
    }
    default: {
      const std::string indent(static_cast<std::size_t>(2 * depth + 2), ' ');
      std::string object = "{\n";
      const std::uint64_t n = 2 + random.below(4);
      const std::uint64_t start = random.below(kFields.size());  // a key stands once in an object
      for (std::uint64_t i = 0; i < n; ++i)
        object += fmt::format("{}\"{}\": {}{}\n", indent, kFields[(start + 3 * i) % kFields.size()],
                              json_value(random, depth + 1), i + 1 < n ? "," : "");
      return object + indent.substr(2) + "}";
    }
  }
}

std::string code_function(Rng& random) {
  const std::string_view a = field(random), b = field(random), w = word(random);
  std::string f = fmt::format("int {}_{}(int {}, int n) {{\n", w, a, b);
  f += fmt::format("  int {} = {};\n", w, random.below(10));
  f += fmt::format("  for (int i = {}; i < n; ++i) {{\n", random.below(3));
  for (std::uint64_t i = 0, n = 1 + random.below(3); i < n; ++i) {
    f += random.below(2) == 0 ? fmt::format("    if ({} > {}) {} += {} * i;\n", b, random.below(100), w, b)
                              : fmt::format("    {} = {} - i;\n", w, w);
  }
  return f + fmt::format("  }}\n  return {};\n}}\n\n", w);
}

}  // namespace

std::string generated_document(std::string_view kind, std::uint64_t seed, std::uint64_t number, std::size_t bytes) {
  if (kind == "prose") return generated_document(seed, number, bytes);
  std::string (*part)(Rng&) = nullptr;
  if (kind == "numbers") part = numbers_line;
  if (kind == "json") part = [](Rng& random) { return json_value(random, 0) + "\n"; };
  if (kind == "code") part = code_function;
  if (part == nullptr) fail("unknown kind of text '{}': there are prose, code, json, numbers", kind);
  Rng random(seed, 8, number);
  std::string text;
  while (text.size() < bytes) text += part(random);
  return text;
}

}  // namespace hadal::data
