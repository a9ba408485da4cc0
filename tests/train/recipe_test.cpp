// Recipes as people write them: types, numbers at the edge of their type, fields of config.json, keys of other
// trainers.
#include "train/recipe.h"

#include <gtest/gtest.h>

#include <random>

#include "base/file.h"
#include "support/temp_folder.h"

namespace hadal::train {
namespace {

using test::error_of;

Recipe with(const std::vector<std::string>& set) { return load_recipe({}, set); }
std::string refusal(const std::string& set) {
  return error_of([&] { with({set}); });
}
bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(RecipeText, WhatIsNoTomlIsAnErrorWithItsLine) {
  const std::pair<const char*, int> texts[] = {{"[\n", 1},
                                               {"[.]\n", 1},
                                               {"[data]\nweights = [1,}2]\n", 2},
                                               {"a = 1e\n", 1},
                                               {"[model\npreset = 'demo'\n", 1},
                                               {"\n\n[model]\npreset = {\n", 4},
                                               {"[lr]\npeak = 1e-3\n\npeak = 2\n", 4}};
  for (const auto& [text, line] : texts) {
    const std::string error = error_of([&] { parse_recipe(text, "r.toml", {}); });
    EXPECT_TRUE(says(error, fmt::format("r.toml:{}", line))) << text << " gave: " << error;
  }
}

// Random texts from the letters of TOML: an Error or a recipe, nothing else.
TEST(RecipeText, AnyTextIsReadOrRefused) {
  std::mt19937 random(7);
  const std::string letters = "[]{}=,.\"'#\n ae1-+_\\:T\t\xc3\x01";
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text = i % 2 == 0 ? "[lr]\npeak = " : "";
    for (std::size_t n = random() % 24; n > 0; --n) text += letters[random() % letters.size()];
    refused += !error_of([&] { parse_recipe(text, "r.toml", {}); }).empty();
    refused += !error_of([&] { with({"lr.peak=" + text}); }).empty();
  }
  EXPECT_GT(refused, 20000);
}

TEST(RecipeText, IntegersListsAndStringsInShort) {
  EXPECT_EQ(with({"train.tokens=1e6"}).train.tokens, 1000000);
  EXPECT_EQ(with({"train.tokens=2.5e3"}).train.tokens, 2500);
  EXPECT_TRUE(says(refusal("train.tokens=1.5"), "'train.tokens' must be an integer, not 1.5"));
  EXPECT_TRUE(says(refusal("train.tokens=1e300"), "must be an integer"));
  EXPECT_TRUE(says(refusal("train.tokens=9007199254740994.0"), "must be an integer")) << "a double may have rounded it";
  EXPECT_EQ(with({"data.train=a b"}).data.train, (std::vector<std::string>{"a b"}));
  EXPECT_EQ(with({"data.train=[\"a\", \"b\"]"}).data.train, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(with({"data.train=x", "data.weights=2"}).data.weights, (std::vector<double>{2}));
  EXPECT_EQ(with({"data.tokenizer='a'"}).data.tokenizer, "a");
  EXPECT_TRUE(says(refusal("data.weights=[true]"), "a list of numbers"));
}

TEST(RecipeText, NumbersThatTheirTypeCannotHold) {
  const std::pair<const char*, const char*> cases[] = {
      {"optimizer.clip=9007199254740993", "must be a number that a double holds"},
      {"optimizer.clip=9223372036854775807", "must be a number that a double holds"},
      {"optimizer.eps=1e-46", "of a size that f32 holds"},
      {"optimizer.eps=1e-40", "of a size that f32 holds"},
      {"lr.tail_lr=[1e-50]", "of a size that f32 holds"},
      {"optimizer.clip=1e39", "of a size that f32 holds"},
      {"lr.peak=1e999", "could not be interpreted as a value"},
      {"optimizer.beta2=0.99999999", "so far from 1 that f32 holds the distance"},
      {"optimizer.beta1=1", "in [0, 1)"},
      {"optimizer.ema=0.99999999", "so far from 1"},
      {"train.tokens=9223372036854775807", "from 1 to 9007199254740992"},
      {"train.tokens=9223372036854775808", "not representable"},
      {"train.rows=9223372036854775807", "rows x data.sequence_length"},
      {"data.sequence_length=2147483648", "from 2 to 16777216"},
      {"model.seed=-1", "0 or more"},
      {"guard.window=99999999999", "from 2 to 1048576"},
      {"balance.gamma=1e30", "from 0 to 10"},
      {"model.init_std=1e30", "from 0 to 100"},
      {"model.embedding_std=1e-30", "0 or from 1e-12 to 100"},
      {"optimizer.weight_decay=1e6", "must not turn weights round"},
      {"lr.peak=20",
       "at most 1 / optimizer.weight_decay: a step must not turn weights round (optimizer.weight_decay = 0.1)"},
      {"lr.final=20", "must not turn weights round"},
      {"lr.peak=inf", "finite"},
      {"model.rms_norm_eps=nan", "must be a finite number"},
  };
  for (const auto& [set, words] : cases) {
    const std::string error = refusal(set);
    EXPECT_TRUE(says(error, words)) << set << " gave: " << error;
    EXPECT_TRUE(says(error, std::string(set).substr(0, std::string(set).find('=')))) << error;
  }
  EXPECT_EQ(with({"optimizer.clip=9007199254740992"}).optimizer.clip, 9007199254740992.0);
  EXPECT_EQ(with({"optimizer.beta2=0.99999"}).optimizer.beta2, 0.99999);
}

// Of two keys that do not go together the one that was set is named first, the other with its value.
TEST(RecipeText, KeysThatDoNotGoTogetherAreBothNamed) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"optimizer.weight_decay=300"},
       "--set optimizer.weight_decay=300: key 'optimizer.weight_decay' = 300.0: lr.peak = 0.004 must be at most 1 /"},
      {{"lr.warmup_share=0.9"},
       "--set lr.warmup_share=0.9: key 'lr.warmup_share' = 0.9: lr.stable_share = 0.37 must be from 0 to 1 -"},
      {{"lr.warmup_share=0.9", "lr.stable_share=0.5"}, "--set lr.stable_share=0.5: key 'lr.stable_share' = 0.5: must"},
      {{"lr.tail_from=0.9"}, "--set lr.tail_from=0.9: key 'lr.tail_from' = [0.9]: lr.tail_lr = [] must be as long"},
      {{"lr.tail_from=0.9", "lr.tail_lr=11"}, "--set lr.tail_lr=11: key 'lr.tail_lr' = [11.0]: must be at most 1 /"},
      {{"data.sequence_length=1e7"},
       "--set data.sequence_length=1e7: key 'data.sequence_length' = 10000000: train.rows = 16 must be so few"},
      {{"train.rows=6", "train.micro_rows=4"},
       "key 'train.micro_rows' = 4: must be 0 or a divisor of train.rows (train.rows = 6)"},
      {{"train.rows_multiple=5"},
       "key 'train.rows_multiple' = 5: must be 0 or a divisor of train.rows (train.rows = 16)"},
      {{"train.rows_start=17"}, "key 'train.rows_start' = 17: must be at most train.rows (train.rows = 16)"},
      {{"data.train=x", "data.epochs=[1, 2]"}, "key 'data.epochs' = [1.0, 2.0]: must be one number for each folder"},
  };
  for (const auto& [set, words] : cases) {
    const std::string error = error_of([&] { with(set); });
    EXPECT_TRUE(says(error, words)) << words << " is not in: " << error;
  }
}

TEST(RecipeText, WhatMustBeNamedIsNotNamedAsNothing) {
  EXPECT_TRUE(says(refusal("train.tokens=0"), "key 'train.tokens' = 0: must be from 1"));
  EXPECT_TRUE(says(refusal("data.tokenizer="), "key 'data.tokenizer' = \"\": must be a folder with tokenizer.json"));
  EXPECT_TRUE(says(refusal("data.train=[]"), "key 'data.train' = []: must be one folder"));
  EXPECT_TRUE(says(refusal("data.train="), "key 'data.train' = [\"\"]: must be names of folders"));
  const std::string shown = to_toml(with({}));
  EXPECT_TRUE(says(shown, "# tokens = 0  # tokens to train on (needed)\n")) << shown;
  EXPECT_EQ(to_toml(parse_recipe(shown, "again", {})), shown);
}

TEST(RecipeText, AnErrorNamesTheLineOrTheOption) {
  const auto of_text = [](const char* text, const std::vector<std::string>& set) {
    return error_of([&] { parse_recipe(text, "r.toml", set); });
  };
  EXPECT_TRUE(of_text("[lr]\n\npeak = -1\n", {}).starts_with("r.toml:3: key 'lr.peak' = -1.0: must be"));
  EXPECT_TRUE(of_text("[lr]\npeak = 'x'\n", {}).starts_with("r.toml:2: key 'lr.peak' must be a number, not"));
  EXPECT_TRUE(of_text("[lr]\npeak = 1.0\n", {"lr.peak=-1"}).starts_with("--set lr.peak=-1: key 'lr.peak'"));
}

TEST(RecipeText, KeysOfOtherTrainers) {
  const std::pair<const char*, const char*> cases[] = {{"lr=1", "'lr.peak'"},
                                                       {"train.learning_rate=1", "'lr.peak'"},
                                                       {"train.batch_size=1", "'train.rows'"},
                                                       {"train.max_steps=1", "'train.tokens' = steps x train.rows"},
                                                       {"num_train_epochs=1", "'data.epochs'"},
                                                       {"model.block_size=1", "'data.sequence_length'"},
                                                       {"train.seq-len=1", "'data.sequence_length'"},
                                                       {"lr.warmup_steps=1", "'lr.warmup_share'"},
                                                       {"train.gradient_accumulation_steps=1", "'train.micro_rows'"},
                                                       {"train.weight_decay=1", "'optimizer.weight_decay'"},
                                                       {"beta2=1", "'optimizer.beta2'"},
                                                       {"train.max_grad_norm=1", "'optimizer.clip'"},
                                                       {"seed=1", "'model.seed'"},
                                                       {"model.n_layer=1", "'model.num_hidden_layers'"},
                                                       {"model.hiden_size=1", "'model.hidden_size'"},
                                                       {"hidden_size=1", "'model.hidden_size'"},
                                                       {"lr.peek=1", "'lr.peak'"},
                                                       {"checkpoint.save_steps=1", "'checkpoint.every'"}};
  for (const auto& [set, words] : cases) {
    EXPECT_TRUE(says(refusal(set), "unknown key")) << set;
    EXPECT_TRUE(says(refusal(set), words)) << set << " gave: " << refusal(set);
  }
}

TEST(RecipeText, FieldsOfConfigJson) {
  const Recipe r = parse_recipe(
      "[model]\nhidden_size = 128\nq_lora_rank = \"null\"\ntopk_method = 'noaux_tc'\n"
      "[model.rope_scaling]\ntype = 'yarn'\nfactor = 8.0\n",
      "r.toml", {"model.eos_token_id=[1, 2]", "model.mtp_hidden=pre_norm", "model.rope_scaling.beta_fast=16"});
  const model::ConfigFields expected = {{"hidden_size", "128"},          {"q_lora_rank", "null"},
                                        {"topk_method", "\"noaux_tc\""}, {"rope_scaling.type", "\"yarn\""},
                                        {"rope_scaling.factor", "8.0"},  {"eos_token_id", "[1,2]"},
                                        {"mtp_hidden", "\"pre_norm\""},  {"rope_scaling.beta_fast", "16"}};
  EXPECT_EQ(r.model.fields, expected);
  const Recipe again = parse_recipe(to_toml(r), "again", {});
  EXPECT_EQ(again.model.fields, expected);
  EXPECT_TRUE(differences(r, again).empty());
  EXPECT_EQ(differences(r, parse_recipe(to_toml(r), "again", {"model.hidden_size=64"})),
            (std::vector<std::string>{"model.hidden_size: 128 -> 64"}));
  EXPECT_EQ(differences(with({}), with({"model.head_dim=64"})),
            (std::vector<std::string>{"model.head_dim: not set -> 64"}));
}

TEST(RecipeText, ShownRecipesReadBack) {
  const Recipe r = with({"data.train=[\"a\\\"b\", \"c\\\\d\"]", "data.tokenizer=x\ty\nz", "lr.peak=1e-3",
                         "train.tokens=1e6", "model.init_from=m", "data.weights=[1, 0.25]"});
  const std::string text = to_toml(r);
  const Recipe again = parse_recipe(text, "again", {});
  EXPECT_EQ(to_toml(again), text);
  EXPECT_EQ(again.data.tokenizer, "x\ty\nz");
  EXPECT_TRUE(again.model.preset.empty()) << "the weights' own config";
  EXPECT_TRUE(says(text, "peak = 0.001  # learning rate after the warm-up (default: 0.004)")) << text;
  EXPECT_TRUE(says(text, "final = 0.0004  # learning rate after the cosine (default)"));
  EXPECT_EQ(with({}).model.preset, "demo");
  EXPECT_TRUE(says(refusal("model.preset=demo2"), "one of tiny, demo"));
}

}  // namespace
}  // namespace hadal::train
