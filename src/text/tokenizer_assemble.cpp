// Puts a tokenizer together out of the files of a folder.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/model_folder.h"
#include "text/control_tokens.h"
#include "text/normalize.h"
#include "text/special_tokens.h"
#include "text/token_files.h"
#include "text/tokenizer_parts.h"

namespace hadal::text {

namespace {

// The file's tokens in their order; a gap in their ids closes, as in the library.
void add_own_tokens(const fs::path& path, const std::vector<AddedToken>& tokens, AddedTokenList& added,
                    std::vector<std::string>& warnings) {
  std::vector<std::string> changes;
  for (const AddedToken& token : tokens) {
    const std::int32_t id = added.add(token);
    if (id >= 0 && id != token.id)
      changes.push_back(fmt::format("{} has id {} and gets {}", token.content, token.id, id));
  }
  if (changes.empty()) return;
  const std::string more = changes.size() == 1 ? "" : fmt::format(", and {} more", changes.size() - 1);
  warnings.push_back(fmt::format("{}: added tokens get the ids that the Hugging Face library gives them: {}{}",
                                 path.string(), changes[0], more));
}

// A role of which no file says a word.
void add_role(Tokenizer::Parts& parts, const char* role, std::string_view name, const AddedTokenList& added) {
  const auto is_role = [&](const SpecialToken& token) { return token.role == role; };
  if (std::any_of(parts.special_tokens.begin(), parts.special_tokens.end(), is_role)) return;
  const AddedToken* token = added.find(name);
  if (token != nullptr)
    parts.special_tokens.push_back({role, token->content, token->id, "tokenizer.json (by its name)"});
}

void add_stop_role(Tokenizer::Parts& parts) {
  const auto is_eos = [](const SpecialToken& token) { return token.role == "eos_token"; };
  if (parts.stop.ids.empty() || std::any_of(parts.special_tokens.begin(), parts.special_tokens.end(), is_eos)) return;
  const auto id = static_cast<std::size_t>(parts.stop.ids[0]);
  if (id >= parts.tokens.size() || !parts.tokens[id].used) return;
  parts.special_tokens.push_back({"eos_token", parts.tokens[id].bytes, parts.stop.ids[0], parts.stop.source});
}

void put_added(const fs::path& path, const IdsByText& model_ids, Tokenizer::Parts& parts) {
  for (const AddedToken& token : parts.added) {
    const auto place = static_cast<std::size_t>(token.id);
    if (!parts.put(token.id, token.content) && !model_ids.contains(token.content)) {
      fail("{}: id {} belongs to two tokens; one is {}", path.string(), token.id, token.content);
    }
    parts.tokens[place] = {token.content, true, true, token.skipped, token.control};
  }
}

void check_template(const fs::path& path, const Tokenizer::Parts& parts) {
  for (const auto* ids : {&parts.before, &parts.after}) {
    for (const std::int32_t id : *ids) {
      const auto place = static_cast<std::size_t>(id);
      if (place >= parts.tokens.size() || !parts.tokens[place].used)
        fail("{}: post_processor adds the id {}, which no token has", path.string(), id);
    }
  }
}

void build_finders(Tokenizer::Parts& parts) {
  std::vector<AddedToken> raw, normalized;
  for (const AddedToken& token : parts.added) (token.normalized ? normalized : raw).push_back(token);
  for (AddedToken& token : normalized) {
    if (parts.nfc) token.content = nfc(token.content);
  }
  parts.raw = AddedTokenFinder(std::move(raw));
  parts.normalized = AddedTokenFinder(std::move(normalized));
}

void build_ids(Tokenizer::Parts& parts) {
  parts.ids.reserve(parts.tokens.size());
  for (const bool added : {true, false}) {
    for (std::size_t i = 0; i < parts.tokens.size(); ++i) {
      const Token& token = parts.tokens[i];
      if (token.used && token.added == added) parts.ids.emplace(token.bytes, static_cast<std::int32_t>(i));
    }
  }
}

void add_to_fingerprint(Tokenizer::Parts& parts) {
  std::vector<const AddedToken*> tokens;
  tokens.reserve(parts.added.size());
  for (const AddedToken& token : parts.added) tokens.push_back(&token);
  std::sort(tokens.begin(), tokens.end(), [](const auto* a, const auto* b) { return a->id < b->id; });
  for (const AddedToken* t : tokens) {
    const unsigned flags = (t->special ? 1u : 0u) | (t->normalized ? 2u : 0u) | (t->single_word ? 4u : 0u) |
                           (t->lstrip ? 8u : 0u) | (t->rstrip ? 16u : 0u) | (t->control ? 32u : 0u);
    parts.print.add(std::int64_t{t->id}, t->content, std::int64_t{flags});
  }
  parts.print.add(std::int64_t{parts.role("bos_token").value_or(-1)},
                  std::int64_t{parts.role("eos_token").value_or(-1)});
}

}  // namespace

Tokenizer Tokenizer::load(const fs::path& model_dir_or_json) {
  const fs::path given = model_folder(model_dir_or_json);
  const fs::path path = fs::is_directory(given) ? given / "tokenizer.json" : given;
  LoadedFile file = read_tokenizer_json(path);
  Parts& parts = *file.parts;
  AddedTokenList added(file.model_ids);
  add_own_tokens(path, file.added, added, parts.warnings);
  TokenFiles files = read_token_files(path.parent_path(), added);
  parts.warnings.insert(parts.warnings.end(), files.warnings.begin(), files.warnings.end());
  parts.special_tokens = std::move(files.special_tokens);
  parts.outside = std::move(files.outside);
  parts.stop = std::move(files.stop);
  for (const SpecialToken& role : parts.special_tokens) {
    const auto is_it = [&](const SpecialToken& token) { return token.id == role.id; };
    if (role.id < 0 || std::none_of(parts.outside.begin(), parts.outside.end(), is_it)) continue;
    parts.warnings.push_back(fmt::format("{}: {} {} is not in the vocabulary; it gets the id {}", role.source,
                                         role.role, role.content, role.id));
  }
  parts.added = added.tokens();
  put_added(path, file.model_ids, parts);
  check_template(path, parts);
  add_stop_role(parts);
  add_role(parts, "bos_token", kBosName, added);
  add_role(parts, "eos_token", kEosName, added);
  add_role(parts, "pad_token", kPadName, added);
  if (const auto eos = parts.role("eos_token"); eos && parts.stop.ids.empty()) parts.stop = {{*eos}, "the EOS token"};
  for (AddedToken& token : parts.added) {
    token.control = std::any_of(parts.special_tokens.begin(), parts.special_tokens.end(),
                                [&](const SpecialToken& role) { return role.id == token.id; });
  }
  mark_control_tokens(path.parent_path(), parts.added);
  for (const AddedToken& token : parts.added) parts.tokens[static_cast<std::size_t>(token.id)].control = token.control;
  build_finders(parts);
  build_ids(parts);
  add_to_fingerprint(parts);
  return Tokenizer(std::move(file.parts));
}

}  // namespace hadal::text
