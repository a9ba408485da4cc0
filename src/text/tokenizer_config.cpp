// Reads the names of special tokens from tokenizer_config.json.
#include <fmt/core.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/control_tokens.h"
#include "text/special_tokens.h"
#include "text/tokenizer_parts.h"

namespace hadal::text {

namespace {

// bos_token and the like: a string or an added token's object; null means there is none.
std::optional<std::int32_t> named_token(const json& config, const char* key, std::string_view otherwise,
                                        Tokenizer::Parts& parts) {
  const auto place = config.find(key);
  std::string name(otherwise);
  if (place != config.end()) {
    const json content = place->is_object() ? place->value("content", json()) : *place;
    if (!content.is_string()) return std::nullopt;
    name = content.get<std::string>();
  }
  const auto token = parts.ids.find(name);
  if (token != parts.ids.end()) return token->second;
  if (place != config.end()) {
    parts.warnings.push_back(fmt::format("tokenizer_config.json: {} {} is not in the vocabulary", key, name));
  }
  return std::nullopt;
}

}  // namespace

void read_tokenizer_config(const fs::path& path, Tokenizer::Parts& parts) {
  json config = json::object();
  if (fs::exists(path)) {
    config = read_json(path);
    if (!config.is_object()) fail("{}: the file must be an object", path.string());
  }
  parts.bos = named_token(config, "bos_token", kBosName, parts);
  parts.eos = named_token(config, "eos_token", kEosName, parts);
  parts.pad = named_token(config, "pad_token", kPadName, parts);
  for (AddedToken& token : parts.added) {
    token.control = token.id == parts.bos || token.id == parts.eos || token.id == parts.pad;
  }
  mark_control_tokens(path.parent_path(), parts.added);
  for (const AddedToken& token : parts.added) parts.tokens[static_cast<std::size_t>(token.id)].control = token.control;
  const auto add_bos = config.find("add_bos_token");
  parts.add_bos_token = add_bos != config.end() && add_bos->is_boolean() && add_bos->get<bool>();
}

}  // namespace hadal::text
