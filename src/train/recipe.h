// A recipe: everything that decides a training run, read from TOML (recipes/README.md documents each key).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json_fwd.h"
#include "model/config.h"
#include "nn/input.h"

namespace hadal::train {

struct Recipe {
  struct {
    // The architecture: `config`, else that of `init_from`, else `preset`, demo if none is named; `fields` over it.
    std::string preset, config, init_from;
    model::ConfigFields fields;
    std::int64_t vocab_size = 0, seed = 1;
    double init_std = 0, embedding_std = 0;
    std::string dtype = "bf16";
  } model;
  struct {
    std::string tokenizer, heldout;
    std::vector<std::string> train;
    std::vector<double> weights;
    std::vector<double> epochs;
    std::int64_t sequence_length = 512, seed = 1;
    bool document_mask = false;
    double fim_rate = 0, split_rate = 0;
  } data;
  struct {
    std::int64_t tokens = 0, rows = 16, micro_rows = 0, threads = 0;
    std::int64_t rows_start = 0, rows_multiple = 0;
    double ramp_share = 0;  // of the tokens
    std::string recompute = "none";
  } train;
  struct {
    double peak = 4e-3, final = 4e-4;
    double warmup_share = 0.03, stable_share = 0.37;
    std::vector<double> tail_from, tail_lr;
  } lr;
  struct {
    double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.1, clip = 1.0;
    std::string moments = "f32";
    double ema = 0;
  } optimizer;
  struct {
    double z = 6, grad_z = 0;
    std::int64_t window = 128, most_in_row = 10;
  } guard;
  struct {
    double gamma = 1e-3, gamma_final = 0, gamma_until = 0.97;  // share of the tokens
    double alpha = 1e-4;
    double expert_alpha = 0, device_alpha = 0, communication_alpha = 0;  // V2's
  } balance;
  struct {
    double lambda = 0.3, lambda_final = 0.1, lambda_until = 0.67;  // share of the tokens
  } mtp;
  struct {
    std::int64_t every = 100, rows = 64;
    bool full = false;
  } validation;
  struct {
    std::int64_t every = 200, keep = 2;
  } checkpoint;
};

nn::Recompute recompute_of(const Recipe& recipe);
// What a CausalLm computes in, by the names that recipes have for it: f32, bf16, fp8. Throws Error listing them
// otherwise.
DType compute_type(std::string_view name);
// What the rows of every step are a multiple of.
std::int64_t rows_multiple(const Recipe& recipe);

// One key of a recipe, bound to its place.
struct RecipeKey {
  std::string_view name;  // "section.key"
  std::variant<double*, std::int64_t*, bool*, std::string*, std::vector<std::string>*, std::vector<double>*> value;
  std::string_view help;
  bool may_change = false;  // a resumed run may have another value: it does not touch the arithmetic
};
std::vector<RecipeKey> keys(Recipe& recipe);

// Reads `path` (may be empty: all defaults), applies `overrides` ("section.key=value"), checks ranges. Paths are taken
// as relative to the current folder. Throws Error naming the file, line, key and what would be right.
Recipe load_recipe(const std::filesystem::path& path, const std::vector<std::string>& overrides);
// The same of a text; `what` is named in the Error.
Recipe parse_recipe(std::string_view text, const std::string& what, const std::vector<std::string>& overrides);

// As resolved, TOML with every key, its meaning and its default. Reading it back gives the same recipe.
std::string to_toml(const Recipe& recipe);
// The same values as an object of sections.
json to_json(const Recipe& recipe);

// Lines "key: before -> after" for keys that may not change between a run and its resumption; empty if none.
std::vector<std::string> differences(const Recipe& before, const Recipe& after);

}  // namespace hadal::train
