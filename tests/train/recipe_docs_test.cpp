// recipes/README.md documents every key of a recipe, and only those.
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "base/file.h"
#include "train/recipe.h"

namespace hadal::train {
namespace {

TEST(RecipeDocs, EveryKeyHasARow) {
  const std::string text = read_file(std::string(HADAL_SOURCE_DIR) + "/recipes/README.md");
  std::set<std::string> documented, known;
  const std::regex row("\\n\\| `([a-z0-9_.]+)`");
  for (std::sregex_iterator i(text.begin(), text.end(), row), end; i != end; ++i) documented.insert((*i)[1]);
  Recipe recipe;
  for (const RecipeKey& key : keys(recipe)) known.insert(std::string(key.name));
  EXPECT_EQ(documented, known);
}

TEST(RecipeDocs, DemoRecipeLoads) {
  const Recipe r = load_recipe(std::string(HADAL_SOURCE_DIR) + "/recipes/demo.toml", {"data.train=[\"a\", \"b\"]"});
  EXPECT_EQ(r.model.preset, "demo");
}

}  // namespace
}  // namespace hadal::train
