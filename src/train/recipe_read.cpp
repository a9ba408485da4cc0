// TOML to a recipe: the only file that knows toml++.
#include <stdexcept>

namespace {

// toml++ asserts on some texts that are no TOML: they must be an error like any other.
struct TomlAssertion : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace

#undef NDEBUG
#define TOML_ASSERT(expression) ((expression) ? static_cast<void>(0) : throw TomlAssertion(#expression))
#define TOML_EXCEPTIONS 1
// Some of its own slips are asserted in noexcept functions.
#ifndef __clang__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wterminate"
#endif
#include <toml++/toml.h>
#ifndef __clang__
#pragma GCC diagnostic pop
#endif

#include <algorithm>
#include <cmath>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "model/config_fields.h"
#include "train/recipe_text.h"

namespace hadal::train {

namespace {

constexpr std::size_t kLargestFile = 1 << 20;

// The first line after which toml++ cannot go on: its assertions do not say where.
std::size_t line_of_assertion(std::string_view text) {
  std::vector<std::size_t> ends;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') ends.push_back(i + 1);
  }
  const auto passes = [&](std::size_t end) {
    try {
      static_cast<void>(toml::parse(text.substr(0, end)));
    } catch (const TomlAssertion&) {
      return false;
    } catch (const toml::parse_error&) {
    }
    return true;
  };
  return static_cast<std::size_t>(std::partition_point(ends.begin(), ends.end(), passes) - ends.begin()) + 1;
}

toml::table parse_text(std::string_view text, const std::string& what) {
  if (text.size() > kLargestFile)
    fail("{}: {} bytes are too many for a recipe: at most {}", what, text.size(), kLargestFile);
  try {
    return toml::parse(text, what);
  } catch (const toml::parse_error& e) {
    fail("{}:{}: not valid TOML: {}", what, e.source().begin.line, e.description());
  } catch (const TomlAssertion&) {
    fail("{}:{}: not valid TOML", what, line_of_assertion(text));
  }
}

// The value of "v = TEXT"; nothing if that is no TOML, and why.
std::optional<toml::table> parse_value(const std::string& text, std::string& problem) {
  try {
    toml::table parsed = toml::parse("v = " + text);
    if (parsed.size() == 1 && parsed.contains("v")) return parsed;
    problem = "must be one value";
  } catch (const toml::parse_error& e) {
    problem = e.description();
  } catch (const TomlAssertion&) {
    problem = "it is no TOML";
  }
  return std::nullopt;
}

std::string text_of(const toml::node& node) {
  std::ostringstream text;
  node.visit([&](const auto& n) { text << n; });
  constexpr std::size_t kShown = 80;
  std::string s = text.str();
  return s.size() <= kShown ? s : s.substr(0, kShown) + "...";
}

std::string_view kind_of(const RecipeKey& key) {
  constexpr std::string_view kinds[] = {"a number",
                                        "an integer",
                                        "true or false",
                                        "a string in quotes",
                                        "a list of strings, as [\"a\", \"b\"]",
                                        "a list of numbers, as [1, 0.5]"};
  return kinds[key.value.index()];
}

bool is_list(const RecipeKey& key) { return key.value.index() >= 4; }
bool is_text(const RecipeKey& key) {
  return std::holds_alternative<std::string*>(key.value) ||
         std::holds_alternative<std::vector<std::string>*>(key.value);
}

[[noreturn]] void wrong_type(const std::string& where, const RecipeKey& key, const toml::node& node) {
  fail("{}: key '{}' must be {}, not {}", where, key.name, kind_of(key), text_of(node));
}

// One value as T, none if the node is of another kind or T cannot hold it: 1e6 is an integer, 2^53 + 1 no double.
template <class T>
std::optional<T> read_one(const toml::node& node) {
  constexpr double kExact = 0x1p53;  // up to here a double holds every integer
  if constexpr (std::is_same_v<T, double>) {
    if (const auto i = node.value_exact<std::int64_t>()) {
      const auto d = static_cast<double>(*i);
      if (std::abs(d) < 0x1p63 && static_cast<std::int64_t>(d) == *i) return d;
      return std::nullopt;
    }
    return node.value_exact<double>();
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    if (const auto d = node.value_exact<double>()) {
      if (*d == std::floor(*d) && std::abs(*d) < kExact) return static_cast<std::int64_t>(*d);
      return std::nullopt;
    }
    return node.value_exact<std::int64_t>();
  } else {
    return node.value_exact<T>();
  }
}

void set(const std::string& where, const RecipeKey& key, const toml::node& node) {
  const auto one = [&](auto* place, const toml::node& item) {
    using T = std::remove_pointer_t<decltype(place)>;
    const std::optional<T> v = read_one<T>(item);
    if (!v && item.is_integer() && std::is_same_v<T, double>)
      fail("{}: key '{}' = {}: must be a number that a double holds", where, key.name, text_of(item));
    if (!v) wrong_type(where, key, node);
    *place = *v;
  };
  std::visit(
      [&](auto* place) {
        using T = std::remove_pointer_t<decltype(place)>;
        if constexpr (std::is_same_v<T, std::vector<std::string>> || std::is_same_v<T, std::vector<double>>) {
          place->clear();
          const toml::array* array = node.as_array();
          if (array == nullptr) return one(&place->emplace_back(), node);  // a list of one
          for (const toml::node& item : *array) one(&place->emplace_back(), item);
        } else {
          one(place, node);
        }
      },
      key.value);
}

// A value as JSON, for a field of config.json; "null" stands for what TOML lacks.
json json_of(const std::string& where, const std::string& name, const toml::node& node) {
  if (const auto s = node.value_exact<std::string>()) return *s == "null" ? json(nullptr) : json(*s);
  if (const auto b = node.value_exact<bool>()) return *b;
  if (const auto i = node.value_exact<std::int64_t>()) return *i;
  if (const auto d = node.value_exact<double>(); d && std::isfinite(*d)) return *d;
  const toml::array* array = node.as_array();
  if (array == nullptr)
    fail("{}: key '{}' = {}: must be a finite number, true or false, a string or a list", where, name, text_of(node));
  json list = json::array();
  for (const toml::node& item : *array) list.push_back(json_of(where, name, item));
  return list;
}

class Setter {
 public:
  Setter(Recipe& recipe, Sources& sources) : recipe_(recipe), all_(keys(recipe)), sources_(sources) {}

  void text(std::string_view toml, const std::string& what) { section(what, parse_text(toml, what), ""); }
  void option(const std::string& text);

 private:
  static bool is_field(std::string_view name) {
    if (!name.starts_with("model.")) return false;
    name.remove_prefix(6);
    const auto& known = model::recipe_fields();
    return std::find(known.begin(), known.end(), name.substr(0, name.find('.'))) != known.end();
  }
  static bool is_object(std::string_view name) {
    return name == "model.rope_scaling" || name == "model.rope_parameters";
  }
  [[noreturn]] static void unknown(const std::string& where, const std::string& name) {
    fail("{}: unknown key '{}'; {}", where, name, hint_for(name));
  }
  void value(const std::string& where, const std::string& name, const toml::node& node) {
    sources_[name] = where;
    if (const RecipeKey* key = find_key(all_, name)) return set(where, *key, node);
    if (!is_field(name)) unknown(where, name);
    if (const toml::table* table = node.as_table(); table != nullptr && is_object(name))
      return section(where, *table, name + ".");
    recipe_.model.fields[name.substr(6)] = json_of(where, name, node).dump();
  }
  // file: where the table stands, without its lines.
  void section(const std::string& file, const toml::table& table, const std::string& prefix) {
    for (const auto& [k, node] : table) {
      const std::string name = prefix + std::string(k.str());
      const auto line = node.source().begin.line;
      const std::string where = line > 0 ? fmt::format("{}:{}", file, line) : file;
      if (const toml::table* inner = node.as_table(); inner != nullptr && (prefix.empty() || is_object(name))) {
        section(file, *inner, name + ".");
      } else {
        value(where, name, node);
      }
    }
  }

  Recipe& recipe_;
  std::vector<RecipeKey> all_;
  Sources& sources_;
};

void Setter::option(const std::string& text) {
  const std::string where = "--set " + text;
  const auto equals = text.find('=');
  if (equals == std::string::npos) fail("{}: must be section.key=value", where);
  const std::string name = text.substr(0, equals);
  std::string given = text.substr(equals + 1);
  const RecipeKey* key = find_key(all_, name);
  if (key == nullptr && !is_field(name)) unknown(where, name);
  // A string need not be quoted on the command line.
  const bool may_be_bare = key == nullptr || is_text(*key),
             quoted_already = given.starts_with('"') || given.starts_with('\'');
  if (key != nullptr && may_be_bare && !quoted_already && !(is_list(*key) && given.starts_with('[')))
    given = toml_string(given);
  std::string problem;
  std::optional<toml::table> parsed = parse_value(given, problem);
  if (!parsed && key == nullptr) parsed = parse_value(toml_string(given), problem);
  if (!parsed) fail("{}: key '{}' must be {}: {}", where, name, key != nullptr ? kind_of(*key) : "a value", problem);
  value(where, name, *parsed->get("v"));
}

}  // namespace

Recipe parse_recipe(std::string_view text, const std::string& what, const std::vector<std::string>& overrides) {
  Recipe recipe;
  Sources sources = {{"", what}};
  Setter setter(recipe, sources);
  setter.text(text, what);
  for (const std::string& one : overrides) setter.option(one);
  if (recipe.model.preset.empty() && recipe.model.config.empty() && recipe.model.init_from.empty())
    recipe.model.preset = "demo";
  check_ranges(recipe, sources);
  return recipe;
}

Recipe load_recipe(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  return path.empty() ? parse_recipe("", "recipe", overrides) : parse_recipe(read_file(path), path.string(), overrides);
}

}  // namespace hadal::train
