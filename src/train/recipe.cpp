#include "train/recipe.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "train/recipe_text.h"

namespace hadal::train {

namespace {

template <class T>
void append_value(std::string& out, const T& v) {
  if constexpr (std::is_same_v<T, std::string>) {
    out += toml_string(v);
  } else if constexpr (std::is_same_v<T, bool>) {
    out += v ? "true" : "false";
  } else if constexpr (std::is_same_v<T, double>) {
    std::string s = fmt::format("{}", v);
    if (s.find_first_of(".en") == std::string::npos) s += ".0";
    out += s;
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    out += fmt::format("{}", v);
  } else {
    out += '[';
    for (std::size_t i = 0; i < v.size(); ++i) {
      if (i > 0) out += ", ";
      append_value(out, v[i]);
    }
    out += ']';
  }
}

// A key without a default: a recipe that does not name it is a plan's only.
bool is_needed(const RecipeKey& key) {
  return key.name == "data.tokenizer" || key.name == "data.train" || key.name == "train.tokens";
}

// "# help", and what the value would be if the key were not set.
std::string comment_of(const RecipeKey& key, const RecipeKey& default_key) {
  const std::string own = value_text(default_key);
  const bool same = own == value_text(key);
  if (is_needed(key)) return fmt::format("# {} (needed)", key.help);
  return fmt::format("# {} ({})", key.help, same ? "default" : "default: " + own);
}

}  // namespace

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20 || code == 0x7f) {
      out += fmt::format("\\u{:04X}", code);
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string field_text(const std::string& value) {
  const json v = parse_json(value, "config field");
  return v.is_string() ? toml_string(v.get<std::string>()) : v.is_null() ? "\"null\"" : value;
}

std::string value_text(const RecipeKey& key) {
  std::string out;
  std::visit([&](auto* place) { append_value(out, *place); }, key.value);
  return out;
}

const RecipeKey* find_key(const std::vector<RecipeKey>& all, std::string_view name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const RecipeKey& k) { return k.name == name; });
  return found == all.end() ? nullptr : &*found;
}

std::string to_toml(const Recipe& recipe) {
  Recipe copy = recipe, defaults;
  const std::vector<RecipeKey> all = keys(copy), own = keys(defaults);
  std::string out, section;
  const auto close_section = [&] {
    if (section != "model") return;
    for (const auto& [name, value] : recipe.model.fields)
      out += fmt::format("{} = {}  # field of config.json, over the architecture's own\n", name, field_text(value));
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto dot = all[i].name.find('.');
    if (const std::string s(all[i].name.substr(0, dot)); s != section) {
      close_section();
      out += fmt::format("{}[{}]\n", section.empty() ? "" : "\n", s);
      section = s;
    }
    const bool unnamed = is_needed(all[i]) && value_text(all[i]) == value_text(own[i]);
    out += fmt::format("{}{} = {}  {}\n", unnamed ? "# " : "", all[i].name.substr(dot + 1), value_text(all[i]),
                       comment_of(all[i], own[i]));
  }
  return out;
}

json to_json(const Recipe& recipe) {
  Recipe copy = recipe;
  json sections = json::object();
  for (const RecipeKey& key : keys(copy)) {
    const auto dot = key.name.find('.');
    json& place = sections[std::string(key.name.substr(0, dot))][std::string(key.name.substr(dot + 1))];
    std::visit([&](const auto* value) { place = *value; }, key.value);
  }
  for (const auto& [name, value] : recipe.model.fields) sections["model"][name] = parse_json(value, "config field");
  return sections;
}

std::vector<std::string> differences(const Recipe& before, const Recipe& after) {
  Recipe a = before, b = after;
  const std::vector<RecipeKey> ka = keys(a), kb = keys(b);
  std::vector<std::string> result;
  for (std::size_t i = 0; i < ka.size(); ++i) {
    if (ka[i].may_change || value_text(ka[i]) == value_text(kb[i])) continue;
    result.push_back(fmt::format("{}: {} -> {}", ka[i].name, value_text(ka[i]), value_text(kb[i])));
  }
  model::ConfigFields names = before.model.fields;
  names.insert(after.model.fields.begin(), after.model.fields.end());
  const auto text = [](const model::ConfigFields& fields, const std::string& name) {
    const auto found = fields.find(name);
    return found == fields.end() ? "not set" : field_text(found->second);
  };
  for (const auto& [name, value] : names) {
    const std::string was = text(before.model.fields, name), is = text(after.model.fields, name);
    if (was != is) result.push_back(fmt::format("model.{}: {} -> {}", name, was, is));
  }
  return result;
}

}  // namespace hadal::train
