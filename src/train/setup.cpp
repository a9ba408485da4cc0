#include "train/setup.h"

#include <algorithm>

#include "base/error.h"
#include "data/prepare.h"
#include "model/load.h"

namespace hadal::train {

namespace {

// What `read` makes of the file or folder that `key` names; its Error begins with the key.
template <class Read>
auto of_key(const char* key, Read read) {
  try {
    return read();
  } catch (const Error& e) {
    fail("{}: {}", key, e.what());
  }
}

}  // namespace

model::Config architecture(const Recipe& r) {
  const auto& m = r.model;
  if (!m.config.empty()) return of_key("model.config", [&] { return model::load_config(m.config, m.fields); });
  if (m.preset.empty() && !m.init_from.empty())
    return of_key("model.init_from", [&] { return model::load_config(m.init_from, m.fields); });
  return model::preset(m.preset.empty() ? "demo" : m.preset, m.fields);
}

namespace {

// The tokens that begin and end a document, unless the recipe states others.
void set_special_tokens(const Recipe& r, const text::Tokenizer& tokenizer, model::Config& c) {
  const auto stated = [&](const char* field) { return r.model.fields.contains(field); };
  if (const auto bos = tokenizer.bos_id(); bos && !stated("bos_token_id")) c.bos_token_id = *bos;
  if (const auto eos = tokenizer.eos_id(); eos && !stated("eos_token_id")) {
    // A model folder may name several, the tokenizer's among them.
    const auto& all = c.eos_token_ids;
    if (r.model.init_from.empty() || std::find(all.begin(), all.end(), *eos) == all.end()) c.eos_token_ids = {*eos};
  }
  for (const std::int64_t id : c.eos_token_ids) {
    if (id >= c.vocab_size) fail("eos_token_id = {}: the vocabulary has {} tokens", id, c.vocab_size);
  }
  if (c.bos_token_id >= c.vocab_size)
    fail("bos_token_id = {}: the vocabulary has {} tokens", c.bos_token_id, c.vocab_size);
}

}  // namespace

model::Config config_of(const Recipe& r, const text::Tokenizer& tokenizer) {
  model::Config c = architecture(r);
  const std::int64_t own = tokenizer.vocab_size();
  std::string source = "model.vocab_size";
  if (r.model.vocab_size > 0) {
    c.vocab_size = r.model.vocab_size;
  } else if (!r.model.init_from.empty()) {
    c.vocab_size = of_key("model.init_from", [&] { return model::load_config(r.model.init_from).vocab_size; });
    source = r.model.init_from + ": vocab_size";
  } else {
    c.vocab_size = own;
  }
  if (c.vocab_size < own) fail("{} = {}: the tokenizer has {} tokens", source, c.vocab_size, own);
  set_special_tokens(r, tokenizer, c);
  check_model(r, c);
  return c;
}

void check_model(const Recipe& r, const model::Config& c) {
  const std::int64_t length = r.data.sequence_length, modules = c.num_nextn_predict_layers;
  if (length > c.max_position_embeddings) {
    fail("data.sequence_length = {}: the model has positions for {} (max_position_embeddings)", length,
         c.max_position_embeddings);
  }
  if (length <= modules) {
    fail("data.sequence_length = {}: must be above {}, or the last of the {} MTP modules has nothing to predict",
         length, modules, modules);
  }
  constexpr double kLargestStd = 100;  // as model.init_std
  if (r.model.init_std == 0 && r.model.init_from.empty() && c.initializer_range > kLargestStd)
    fail("initializer_range = {}: new weights need a standard deviation of at most {} (or model.init_std)",
         c.initializer_range, kLargestStd);
  // With one group both losses are constants: whoever weighs them expects something else.
  if (c.n_group > 1 && c.topk_method != model::TopkMethod::greedy) return;
  for (const auto& [key, alpha] : {std::pair{"device_alpha", r.balance.device_alpha},
                                   std::pair{"communication_alpha", r.balance.communication_alpha}}) {
    if (alpha > 0)
      fail("balance.{} = {}: the model's gate has no groups of experts (n_group > 1): must be 0", key, alpha);
  }
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

// Rows of all steps together: the last one is filled up to a multiple.
std::int64_t rows_in_all(const Recipe& r) {
  const std::int64_t length = r.data.sequence_length, multiple = rows_multiple(r);
  return ((r.train.tokens + length - 1) / length + multiple - 1) / multiple * multiple;
}

void check_tokenizer(std::uint64_t made_with, const Recipe& r, const std::string& folder) {
  if (made_with != data::tokenizer_hash(r.data.tokenizer))
    fail("{}: the token shards were made with another tokenizer than {}", folder, r.data.tokenizer);
}

void check_data(const data::Loader& loader, const Recipe& r) {
  const double needed = static_cast<double>(rows_in_all(r) - 1) * static_cast<double>(r.data.sequence_length);
  if (r.train.tokens > 0 && loader.most_tokens() <= needed) {
    fail("train.tokens = {}: data.epochs allows only {:.0f} tokens: allow more epochs or train on fewer tokens",
         r.train.tokens, loader.most_tokens());
  }
  check_tokenizer(loader.tokenizer_hash(), r, r.data.train.front());
}

void require_named(const Recipe& r) {
  if (r.data.tokenizer.empty()) fail("key 'data.tokenizer' is needed: a folder with tokenizer.json");
  if (r.data.train.empty()) fail("key 'data.train' is needed: folders of token shards (hadal data prepare)");
  if (r.train.tokens == 0) fail("key 'train.tokens' is needed: how many tokens to train on");
}

std::string not_named_yet(const Recipe& r) {
  std::string list;
  const auto note = [&](bool missing, const char* key) {
    if (missing) list += (list.empty() ? "" : ", ") + std::string(key);
  };
  note(r.data.tokenizer.empty(), "data.tokenizer");
  note(r.data.train.empty(), "data.train");
  note(r.train.tokens == 0, "train.tokens");
  return list;
}

}  // namespace

LoaderRows open_rows(const Recipe& recipe, const text::Tokenizer& tokenizer) {
  LoaderRows rows = of_key("data.train", [&] { return LoaderRows(loader_options(recipe, tokenizer)); });
  check_data(rows.loader(), recipe);
  return rows;
}

std::vector<std::vector<std::int32_t>> heldout_rows(const Recipe& recipe, const text::Tokenizer& tokenizer,
                                                    const std::filesystem::path& folder, std::int64_t most_rows) {
  const std::vector<data::Shard> shards = data::open_shards(folder);
  check_tokenizer(shards.front().info().tokenizer_hash, recipe, folder.string());
  for (const data::Shard& s : shards) s.check_ids(tokenizer.vocab_size());
  auto rows = data::rows_in_order(shards, recipe.data.sequence_length, most_rows);
  if (rows.empty()) fail("{}: less than 2 tokens of held-out text: nothing to predict", folder.string());
  return rows;
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

Opened open_recipe(const Recipe& r, Need need) {
  if (need != Need::plan) require_named(r);
  Opened o;
  if (!r.data.tokenizer.empty()) {
    o.tokenizer = of_key("data.tokenizer", [&] { return text::Tokenizer::load(r.data.tokenizer); });
    o.config = config_of(r, *o.tokenizer);
  } else {
    o.config = architecture(r);
    if (r.model.vocab_size > 0) o.config.vocab_size = r.model.vocab_size;
    check_model(r, o.config);
  }
  if (!r.model.init_from.empty() && need != Need::resumption)
    o.notes = of_key("model.init_from", [&] { return model::check_start(o.config, r.model.init_from); });
  if (o.tokenizer) {
    if (need != Need::plan || !r.data.train.empty()) o.rows.emplace(open_rows(r, *o.tokenizer));
    o.heldout = of_key("data.heldout", [&] { return open_validation(r, *o.tokenizer); });
  }
  if (const std::string list = not_named_yet(r); !list.empty())
    o.notes.push_back("not named, so not looked at: " + list);
  return o;
}

std::int64_t bytes_of_token(const text::Tokenizer& tokenizer, std::int32_t id) {
  return tokenizer.is_special(id) ? 0 : static_cast<std::int64_t>(tokenizer.token_bytes(id).size());
}

}  // namespace hadal::train
