// What reading, checking and writing a recipe share: internal to recipe*.cpp.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "train/recipe.h"

namespace hadal::train {

// A key's value as TOML.
std::string value_text(const RecipeKey& key);
// JSON text of a config field (Recipe::model.fields) as TOML, which has no null.
std::string field_text(const std::string& value);
// A string as TOML: quoted, escaped.
std::string toml_string(std::string_view text);

const RecipeKey* find_key(const std::vector<RecipeKey>& all, std::string_view name);

// Where a key got its value, for messages: "file.toml:12", "--set key=value"; "" stands for all others.
using Sources = std::map<std::string, std::string, std::less<>>;

// Throws Error for a value out of its range: where it stands, key, value, and what would be right.
void check_ranges(Recipe& recipe, const Sources& sources);

}  // namespace hadal::train
