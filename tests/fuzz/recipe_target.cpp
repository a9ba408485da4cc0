// Recipes: lines that begin with "--set " first, then the TOML file.
#include "base/error.h"
#include "fuzz/targets.h"
#include "train/recipe.h"

namespace hadal::fuzz {

void recipe(std::string_view input) {
  constexpr std::string_view kSet = "--set ";
  std::vector<std::string> sets;
  while (input.starts_with(kSet) && sets.size() < 8) sets.emplace_back(first_line(input).substr(kSet.size()));
  const auto path = write("recipe.toml", input);
  train::Recipe r;
  // What is wrong with an override names the override, or the file it changes.
  const std::string named = sets.empty() ? "recipe.toml" : "";
  if (!expect_error_names(named, [&] { r = train::load_recipe(path, sets); })) return;
#ifdef HADAL_PLANTED_BUG
  const std::vector<int> eighths(8);
  for (const double share : r.lr.tail_from)
    require(eighths.data()[static_cast<std::size_t>(share * 8)] == 0, "an eighth that is set");  // 1 is a share, too
#endif
  const std::string text = train::to_toml(r);
  const auto again = write("again.toml", text);
  require(train::to_toml(train::load_recipe(again, {})) == text, "the recipe that is written is another");
}

}  // namespace hadal::fuzz
