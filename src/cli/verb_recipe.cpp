// hadal recipe show RECIPE: every key as it is resolved, before a run.
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "cli/json_out.h"
#include "cli/options.h"
#include "cli/verbs.h"
#include "train/recipe.h"

namespace hadal::cli {

void add_recipe(Command app) {
  Command recipe = app.add_verb("recipe", "what a recipe says");
  recipe.needs_verb();
  struct Arguments {
    RecipeOptions recipe;
    bool as_json = false;
  };
  auto a = std::make_shared<Arguments>();
  Command show = recipe.add_verb("show", "print every key as resolved, with its meaning: a recipe itself");
  add_recipe_options(show, a->recipe);
  add_json(show, a->as_json);
  show.callback([a] {
    const train::Recipe resolved = train::load_recipe(a->recipe.recipe, a->recipe.overrides());
    if (a->as_json) {
      print_json(train::to_json(resolved));
    } else {
      fmt::print("{}", train::to_toml(resolved));
    }
  });
}

}  // namespace hadal::cli
