// What a recipe names, opened: tokenizer, architecture, rows of token shards.
#pragma once

#include <filesystem>
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

// The architecture of model.preset or model.config with the tokenizer's size and special tokens. Throws Error for a
// vocabulary or a sequence that does not fit.
model::Config config_of(const Recipe& recipe, const text::Tokenizer& tokenizer);

// data.train as rows. Throws Error if the shards were made with another tokenizer, or have too few tokens.
LoaderRows open_rows(const Recipe& recipe, const text::Tokenizer& tokenizer);

// Held-out text of a folder of token shards, every token once, in order; most_rows 0: all. Throws Error if the shards
// were made with another tokenizer, or hold ids that it does not have.
std::vector<std::vector<std::int32_t>> heldout_rows(const Recipe& recipe, const text::Tokenizer& tokenizer,
                                                    const std::filesystem::path& folder, std::int64_t most_rows = 0);
// The rows of data.heldout that the recipe's validations read (train/validator.h); empty without one. Throws Error if
// the shards were made with another tokenizer.
ValidationText open_validation(const Recipe& recipe, const text::Tokenizer& tokenizer);

// UTF-8 bytes of a token; 0 for a special one.
std::int64_t bytes_of_token(const text::Tokenizer& tokenizer, std::int32_t id);

}  // namespace hadal::train
