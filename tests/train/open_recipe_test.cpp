// What is refused before a run makes anything, and which architecture a recipe means.
#include "train/setup.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "data/prepare.h"
#include "data/shard_writer.h"
#include "model/load.h"
#include "support/temp_folder.h"

namespace hadal::train {
namespace {

using test::error_of;
using test::TempFolder;

const std::filesystem::path kTokenizer = std::filesystem::path(HADAL_TEST_DATA) / "text" / "tokenizers";

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// A tokenizer of the test data, and token shards of its own ids.
class OpenRecipe : public ::testing::Test {
 protected:
  OpenRecipe() {
    for (const auto& entry : std::filesystem::directory_iterator(kTokenizer)) folders_.push_back(entry.path());
    std::sort(folders_.begin(), folders_.end());
    tokenizer_ = folders_.front();
    write("shards", 400, data::tokenizer_hash(tokenizer_));
    write("foreign", 400, 12345);
    write("short", 1, data::tokenizer_hash(tokenizer_));
  }
  void write(const std::string& name, std::size_t tokens, std::uint64_t hash) {
    const text::Tokenizer tokenizer = text::Tokenizer::load(tokenizer_);
    data::ShardWriter writer(folder_ / name, static_cast<std::int32_t>(tokenizer.vocab_size()), hash);
    std::vector<std::int32_t> document(tokens);
    for (std::size_t i = 0; i < tokens; ++i) document[i] = static_cast<std::int32_t>(i % 50);
    writer.add(document, tokens);
    writer.finish();
  }
  Recipe recipe(const std::vector<std::string>& more) const {
    std::vector<std::string> all = {"model.preset=tiny",       "data.tokenizer=" + tokenizer_.string(),
                                    "train.tokens=320",        "train.rows=2",
                                    "data.sequence_length=16", "data.train=" + (folder_ / "shards").string()};
    all.insert(all.end(), more.begin(), more.end());
    return load_recipe({}, all);
  }
  // The refusal of both verbs, which must be one line.
  std::string refusal(const std::vector<std::string>& more) const {
    const std::string training = error_of([&] { open_recipe(recipe(more), Need::training); });
    EXPECT_EQ(training, error_of([&] { open_recipe(recipe(more), Need::plan); }));
    return training;
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  TempFolder folder_;
  std::vector<std::filesystem::path> folders_;
  std::filesystem::path tokenizer_;
};

TEST_F(OpenRecipe, ARecipeThatWorksIsOpened) {
  Opened o = open_recipe(recipe({"data.heldout=" + path("shards")}), Need::training);
  if (!o.tokenizer || !o.rows) FAIL() << "tokenizer or rows are not open";
  EXPECT_EQ(o.config.vocab_size, o.tokenizer->vocab_size());
  EXPECT_EQ(o.rows->next().tokens.size(), 17u);
  EXPECT_EQ(o.heldout.rows.size(), 25u);
  EXPECT_TRUE(o.notes.empty());
}

TEST_F(OpenRecipe, WhatCannotWorkIsRefusedAlike) {
  EXPECT_TRUE(says(refusal({"data.sequence_length=3", "model.num_nextn_predict_layers=3"}),
                   "data.sequence_length = 3: must be above 3"));
  EXPECT_EQ(refusal({"data.sequence_length=4", "model.num_nextn_predict_layers=3"}), "");
  EXPECT_TRUE(says(refusal({"data.sequence_length=2048"}), "the model has positions for 1024"));
  EXPECT_TRUE(says(refusal({"model.vocab_size=8"}), "model.vocab_size = 8: the tokenizer has"));
  for (const std::string key : {"data.tokenizer", "data.train", "data.heldout", "model.config", "model.init_from"})
    EXPECT_TRUE(refusal({key + "=" + path("none")}).starts_with(key + ": ")) << refusal({key + "=" + path("none")});
  EXPECT_TRUE(says(refusal({"model.eos_token_id=9999999"}), "eos_token_id = 9999999: the vocabulary has"));
  EXPECT_TRUE(says(refusal({"data.train=" + path("foreign")}), "made with another tokenizer"));
  EXPECT_TRUE(says(refusal({"data.heldout=" + path("foreign")}), "made with another tokenizer"));
  EXPECT_TRUE(says(refusal({"data.heldout=" + path("short")}), "less than 2 tokens"));
  EXPECT_TRUE(says(refusal({"data.heldout=" + path("none")}), "no such folder"));
  EXPECT_TRUE(says(refusal({"data.train=" + path("none")}), "no such folder"));
  EXPECT_TRUE(says(refusal({"model.config=" + path("none.json")}), "none.json"));
  EXPECT_TRUE(says(refusal({"model.init_from=" + path("none")}), "none"));
  EXPECT_TRUE(says(refusal({"balance.device_alpha=0.1", "model.n_group=1", "model.topk_group=1"}), "has no groups"));
  EXPECT_TRUE(says(refusal({"model.initializer_range=1e18"}), "initializer_range = 1e+18: new weights need"));
  EXPECT_EQ(refusal({"model.initializer_range=1e18", "model.init_std=0.1"}), "");
  EXPECT_TRUE(says(refusal({"model.n_group=3"}), "model.n_group over preset tiny = 3"));
  EXPECT_TRUE(says(refusal({"data.epochs=0.5"}), "data.epochs allows only 200 tokens"));
  EXPECT_TRUE(says(refusal({"data.epochs=1", "train.tokens=640"}), "data.epochs allows only 400 tokens"));
  // The last step is filled up: 25 rows are there, 320 tokens of 20 rows in steps of 32 would need 32.
  EXPECT_TRUE(
      says(refusal({"data.epochs=1", "train.rows=32", "train.micro_rows=32"}), "data.epochs allows only 400 tokens"));
}

TEST_F(OpenRecipe, WhatIsNotNamedYetIsNoErrorOfAPlan) {
  const Recipe r = load_recipe({}, {"model.preset=tiny"});
  const Opened o = open_recipe(r, Need::plan);
  EXPECT_FALSE(o.rows.has_value());
  ASSERT_EQ(o.notes.size(), 1u);
  EXPECT_TRUE(says(o.notes[0], "data.tokenizer, data.train, train.tokens"));
  EXPECT_TRUE(says(error_of([&] { open_recipe(r, Need::training); }), "'data.tokenizer' is needed"));
}

TEST_F(OpenRecipe, InitFromAloneBringsItsConfigAndVocabulary) {
  const text::Tokenizer tokenizer = text::Tokenizer::load(tokenizer_);
  model::Config c = model::preset("tiny", {{"hidden_size", "32"}, {"num_nextn_predict_layers", "0"}});
  c.vocab_size = tokenizer.vocab_size() + 7;  // padded
  c.eos_token_ids = {3};
  if (const auto bos = tokenizer.bos_id()) c.bos_token_id = *bos;
  if (const auto eos = tokenizer.eos_id()) c.eos_token_ids = {*eos, 3};
  model::CausalLm lm(c, DType::f32);
  model::init_model(lm, 1, 0.1);
  io::NamedTensors tensors;
  lm.visit([&](const nn::Parameter& p) {
    model::each_checkpoint_tensor(p, *p.value,
                                  [&](const std::string& n, const Tensor& t) { tensors.emplace_back(n, t.clone()); });
  });
  std::filesystem::create_directories(folder_ / "model");
  model::write_model_dir(folder_ / "model", c, DType::f32, tensors, {});
  const Opened o = open_recipe(recipe({"model.preset=", "model.init_from=" + path("model")}), Need::training);
  EXPECT_EQ(o.config.hidden_size, 32);
  EXPECT_EQ(o.config.vocab_size, c.vocab_size);
  EXPECT_EQ(o.config.eos_token_ids, c.eos_token_ids);
  EXPECT_TRUE(says(refusal({"model.init_from=" + path("model")}), "has shape")) << "the preset is named";
  const Opened more =
      open_recipe(recipe({"model.preset=", "model.init_from=" + path("model"), "model.num_nextn_predict_layers=1"}),
                  Need::training);
  ASSERT_EQ(more.notes.size(), 1u);
  EXPECT_TRUE(says(more.notes[0], "starts afresh")) << more.notes[0];
}

}  // namespace
}  // namespace hadal::train
