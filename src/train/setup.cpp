#include "train/setup.h"

#include "base/error.h"
#include "data/prepare.h"

namespace hadal::train {

model::Config config_of(const Recipe& r, const text::Tokenizer& tokenizer) {
  model::Config c = r.model.config.empty() ? model::preset(r.model.preset) : model::load_config(r.model.config);
  c.vocab_size = r.model.vocab_size > 0 ? r.model.vocab_size : tokenizer.vocab_size();
  if (c.vocab_size < tokenizer.vocab_size()) {
    fail("model.vocab_size = {}: the tokenizer has {} tokens", c.vocab_size, tokenizer.vocab_size());
  }
  if (r.data.sequence_length > c.max_position_embeddings) {
    fail("data.sequence_length = {}: the model has positions for {}", r.data.sequence_length,
         c.max_position_embeddings);
  }
  if (const auto bos = tokenizer.bos_id()) c.bos_token_id = *bos;
  if (const auto eos = tokenizer.eos_id()) c.eos_token_ids = {*eos};
  return c;
}

namespace {

data::LoaderOptions loader_options(const Recipe& r, const text::Tokenizer& tokenizer) {
  const auto transform = r.data.fim_rate > 0 || r.data.split_rate > 0
                             ? std::make_shared<const data::DocumentTransform>(
                                   tokenizer, data::TransformOptions{r.data.fim_rate, r.data.split_rate})
                             : nullptr;
  return {{r.data.train.begin(), r.data.train.end()}, r.data.weights, r.data.epochs,         r.data.sequence_length,
          static_cast<std::uint64_t>(r.data.seed),    transform,      tokenizer.vocab_size()};
}

void check_tokenizer(std::uint64_t made_with, const Recipe& r, const std::string& folder) {
  if (made_with != data::tokenizer_hash(r.data.tokenizer))
    fail("{}: the token shards were made with another tokenizer than {}", folder, r.data.tokenizer);
}

void check_data(const data::Loader& loader, const Recipe& r) {
  if (loader.most_tokens() < static_cast<double>(r.train.tokens)) {
    fail("train.tokens = {}: data.epochs allows only {:.0f} tokens: allow more epochs or train on fewer tokens",
         r.train.tokens, loader.most_tokens());
  }
  check_tokenizer(loader.tokenizer_hash(), r, r.data.train.front());
}

}  // namespace

LoaderRows open_rows(const Recipe& recipe, const text::Tokenizer& tokenizer) {
  LoaderRows rows(loader_options(recipe, tokenizer));
  check_data(rows.loader(), recipe);
  return rows;
}

std::vector<std::vector<std::int32_t>> heldout_rows(const Recipe& recipe, const text::Tokenizer& tokenizer,
                                                    const std::filesystem::path& folder, std::int64_t most_rows) {
  const std::vector<data::Shard> shards = data::open_shards(folder);
  check_tokenizer(shards.front().info().tokenizer_hash, recipe, folder.string());
  for (const data::Shard& s : shards) s.check_ids(tokenizer.vocab_size());
  return data::rows_in_order(shards, recipe.data.sequence_length, most_rows);
}

ValidationText open_validation(const Recipe& r, const text::Tokenizer& tokenizer) {
  ValidationText text;
  if (r.data.heldout.empty()) return text;
  std::filesystem::path folder = std::filesystem::path(r.data.heldout).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  text.name = folder.filename().string();
  text.rows = heldout_rows(r, tokenizer, r.data.heldout, most_validation_rows(r));
  return text;
}

std::int64_t bytes_of_token(const text::Tokenizer& tokenizer, std::int32_t id) {
  return tokenizer.is_special(id) ? 0 : static_cast<std::int64_t>(tokenizer.token_bytes(id).size());
}

}  // namespace hadal::train
