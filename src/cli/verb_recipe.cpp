// hadal recipe show RECIPE: every key as it is resolved, before a run.
#include <CLI/CLI.hpp>

#include <memory>

#include "base/error.h"
#include "cli/options.h"
#include "cli/verbs.h"
#include "train/recipe.h"

namespace hadal::cli {

void add_recipe(CLI::App& app) {
  CLI::App* recipe = app.add_subcommand("recipe", "what a recipe says");
  recipe->require_subcommand(1);
  auto options = std::make_shared<RecipeOptions>();
  CLI::App* show = recipe->add_subcommand("show", "print every key as resolved, with its meaning: a recipe itself");
  add_recipe_options(*show, *options);
  show->callback(
      [options] { fmt::print("{}", train::to_toml(train::load_recipe(options->recipe, options->overrides()))); });
}

}  // namespace hadal::cli
