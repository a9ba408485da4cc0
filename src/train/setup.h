// What a recipe names, opened and checked before anything is made: tokenizer, architecture, weights to start from,
// token shards. `plan train` and `pretrain` call open_recipe and so refuse the same recipes with the same line.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/loader.h"
#include "model/config.h"
#include "text/tokenizer.h"
#include "train/recipe.h"
#include "train/rows.h"
#include "train/validator.h"

namespace hadal::train {

// data::Loader as the trainer's source of rows.
class LoaderRows : public RowSource {
 public:
  explicit LoaderRows(const data::LoaderOptions& options) : loader_(options) {}
  SourceRow next() override {
    data::Row row = loader_.next();
    return {std::move(row.tokens), std::move(row.documents), std::move(row.contexts)};
  }
  std::string state() const override { return loader_.state(); }
  void restore(const std::string& state) override { loader_.restore(state); }
  const data::Loader& loader() const { return loader_; }

 private:
  data::Loader loader_;
};

// The architecture that the recipe names, with its own vocabulary: model.config, else that of model.init_from where no
// preset is named, else model.preset; the recipe's fields over it.
model::Config architecture(const Recipe& recipe);

// The same with the vocabulary (the tokenizer's size unless recipe or weights say another) and the special tokens of
// the tokenizer. Throws Error for a vocabulary or a sequence that does not fit.
model::Config config_of(const Recipe& recipe, const text::Tokenizer& tokenizer);

// What recipe and architecture must hold for each other: positions, MTP modules within a row, groups of experts for
// V2's losses. Throws Error.
void check_model(const Recipe& recipe, const model::Config& config);

// data.train as rows. Throws Error if the shards were made with another tokenizer, or have too few tokens.
LoaderRows open_rows(const Recipe& recipe, const text::Tokenizer& tokenizer);

// Held-out text of a folder of token shards, every token once, in order; most_rows 0: all. Throws Error if the shards
// were made with another tokenizer, hold ids that it does not have, or nothing to predict.
std::vector<std::vector<std::int32_t>> heldout_rows(const Recipe& recipe, const text::Tokenizer& tokenizer,
                                                    const std::filesystem::path& folder, std::int64_t most_rows = 0);
// The rows of data.heldout that the recipe's validations read (train/validator.h); empty without one. Throws Error if
// the shards were made with another tokenizer.
ValidationText open_validation(const Recipe& recipe, const text::Tokenizer& tokenizer);

struct Opened {
  std::optional<text::Tokenizer> tokenizer;  // always there but for a plan, as are the rows
  model::Config config;
  std::optional<LoaderRows> rows;
  ValidationText heldout;          // empty without data.heldout
  std::vector<std::string> notes;  // lines for the user
};
// plan: what the recipe does not name yet (tokenizer, data, number of tokens) is not looked at, and a note says so.
// resumption: weights come from a checkpoint, those of model.init_from are not looked at.
enum class Need { plan, training, resumption };
// Everything that a run opens. Throws Error for every recipe that cannot work; makes nothing.
Opened open_recipe(const Recipe& recipe, Need need);

// UTF-8 bytes of a token; 0 for a special one.
std::int64_t bytes_of_token(const text::Tokenizer& tokenizer, std::int32_t id);

}  // namespace hadal::train
