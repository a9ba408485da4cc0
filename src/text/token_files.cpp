#include "text/token_files.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <variant>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/special_tokens.h"

namespace hadal::text {

namespace {

constexpr const char* kRoles[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                  "pad_token", "cls_token", "mask_token"};
constexpr const char* kExtra = "extra_special_tokens";
constexpr const char* kAdditional = "additional_special_tokens";
constexpr const char* kConfig = "tokenizer_config.json";
constexpr const char* kMap = "special_tokens_map.json";

// A token as a file names it: by its text alone, or with all its flags.
struct Named {
  AddedToken token;
  bool plain = true;  // only the text
  bool is_null = false;
  bool says_normalized = false;
  std::string source;  // file and, where it tells more, field

  void make_special() {
    token.special = true;
    if (!says_normalized) token.normalized = false;
  }
};

bool equal(const AddedToken& a, const AddedToken& b) {
  return a.content == b.content && a.special == b.special && a.normalized == b.normalized &&
         a.single_word == b.single_word && a.lstrip == b.lstrip && a.rstrip == b.rstrip;
}

bool equal(const Named& a, const Named& b) {
  return a.plain == b.plain && a.token.content == b.token.content && (a.plain || equal(a.token, b.token));
}

json read_object(const fs::path& path) {
  if (!fs::exists(path)) return json();
  json value = read_json(path);
  if (!value.is_object()) fail("{}: the file must be an object", path.string());
  return value;
}

class Reader {
 public:
  Reader(const fs::path& folder, AddedTokenList& added) : folder_(folder), added_(added) {
    for (const AddedToken& token : added.tokens()) in_tokenizer_.emplace(token.content, token);
  }

  TokenFiles read() {
    const json config = read_object(folder_ / kConfig);
    if (config.is_object()) read_config(config);
    const auto decoder = config.find("added_tokens_decoder");
    if (config.is_object() && decoder != config.end()) {
      has_decoder_ = true;
      read_decoder(*decoder);
    } else {
      const json map = read_object(folder_ / kMap);
      if (map.is_object()) read_map(map);
      const json tokens = read_object(folder_ / "added_tokens.json");
      if (tokens.is_object()) read_added(tokens);
    }
    add_tokens();
    read_stop_tokens();
    return std::move(files_);
  }

 private:
  [[noreturn]] void broken(const char* file, const std::string& field, const std::string& right) const {
    fail("{}: {} must be {}", (folder_ / file).string(), field, right);
  }

  bool flag(const json& object, const char* key, bool otherwise, const char* file, const std::string& field) const {
    const auto place = object.find(key);
    if (place == object.end() || place->is_null()) return otherwise;
    if (!place->is_boolean()) broken(file, field + "." + key, "true or false");
    return place->get<bool>();
  }

  // A text, an object with content and flags, or null. `special`: what the flag is where a file does not say it.
  Named named(const json& value, const char* file, const std::string& field, bool special) const {
    Named n;
    n.source = file;
    if (value.is_null()) {
      n.is_null = true;
    } else if (value.is_string()) {
      n.token.content = value.get<std::string>();
      n.token.special = true;
    } else {
      const auto content = value.is_object() ? value.find("content") : value.end();
      if (!value.is_object() || content == value.end() || !content->is_string()) {
        broken(file, field, "a string, or an object with a string under content");
      }
      n.plain = false;
      n.token.content = content->get<std::string>();
      n.token.special = flag(value, "special", special, file, field);
      n.token.normalized = flag(value, "normalized", !n.token.special, file, field);
      n.says_normalized = value.contains("normalized");
      n.token.single_word = flag(value, "single_word", false, file, field);
      n.token.lstrip = flag(value, "lstrip", false, file, field);
      n.token.rstrip = flag(value, "rstrip", false, file, field);
    }
    return n;
  }

  std::vector<Named> list(const json& value, const char* file, const char* field, bool special) const {
    std::vector<Named> tokens;
    for (std::size_t i = 0; i < value.size(); ++i) {
      const std::string where = fmt::format("{}[{}]", field, i);
      Named n = named(value[i], file, where, special);
      if (n.is_null) broken(file, where, "a string or an object");
      n.source = fmt::format("{} ({})", file, field);
      tokens.push_back(std::move(n));
    }
    return tokens;
  }

  static bool is_role(const std::string& key) {
    return std::find(std::begin(kRoles), std::end(kRoles), key) != std::end(kRoles);
  }

  // A role that only this model has: image_token and the like.
  static bool is_own_role(const std::string& key, const json& value) {
    return key.ends_with("_token") && !is_role(key) && key != "add_bos_token" && key != "add_eos_token" &&
           (value.is_string() || (value.is_object() && value.contains("content")));
  }

  static void set(std::vector<std::pair<std::string, Named>>& roles, const std::string& role, Named token) {
    const auto place = std::find_if(roles.begin(), roles.end(), [&](const auto& one) { return one.first == role; });
    if (place == roles.end()) {
      roles.emplace_back(role, std::move(token));
    } else {
      place->second = std::move(token);
    }
  }

  void read_roles(const json& object, const char* file, bool special, std::vector<std::pair<std::string, Named>>& own) {
    for (const char* role : kRoles) {
      if (const auto place = object.find(role); place != object.end())
        roles_[role] = named(*place, file, role, special);
    }
    for (const auto& [key, value] : object.items()) {
      if (is_own_role(key, value)) set(own, key, named(value, file, key, special));
    }
  }

  void read_named_extra(const json& object, const char* file) {
    for (const auto& [key, value] : object.items()) {
      Named n = named(value, file, fmt::format("{}.{}", kExtra, key), true);
      if (!n.is_null) set(own_, key, std::move(n));
    }
  }

  // extra_special_tokens counts, else additional_special_tokens, its name of old.
  void read_config(const json& config) {
    read_roles(config, kConfig, false, own_);
    for (const char* key : {kExtra, kAdditional}) {
      const auto place = config.find(key);
      if (place == config.end()) continue;
      has_extra_ = has_extra_ || (!place->is_object() && !named_extra_);
      if (place->is_null() || place->empty()) continue;
      if (place->is_array()) {
        extra_ = list(*place, kConfig, key, false);
      } else if (place->is_object()) {
        read_named_extra(*place, kConfig);
        if (key == kExtra) {
          named_extra_ = true;
          continue;
        }
      } else {
        broken(kConfig, key, "a list of tokens or an object of named ones");
      }
      break;
    }
    if (flag(config, "split_special_tokens", false, kConfig, "the file")) {
      fail("{}: split_special_tokens true is not supported; it must be false (the option --as-text does the same)",
           (folder_ / kConfig).string());
    }
  }

  void read_map(const json& map) {
    read_roles(map, kMap, true, map_own_);
    if (const auto extra = map.find(kExtra); extra != map.end()) {
      if (extra->is_object()) {
        read_named_extra(*extra, kMap);
      } else if (extra->is_array()) {
        if (!has_extra_) extra_.clear();
        for (Named& n : list(*extra, kMap, kExtra, true)) extra_.push_back(std::move(n));
      } else if (extra->is_null()) {
        extra_.clear();
      } else {
        broken(kMap, kExtra, "a list of tokens or an object of named ones");
      }
      has_extra_ = has_extra_ || !extra->is_object();
    }
    const auto additional = map.find(kAdditional);
    if (has_extra_ || additional == map.end() || additional->is_null()) return;
    if (!additional->is_array()) broken(kMap, kAdditional, "a list of tokens");
    extra_ = list(*additional, kMap, kAdditional, true);
  }

  std::int32_t id_of(const json& value, const char* file, const std::string& field) const {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kLastId) {
      broken(file, field, fmt::format("an id from 0 to {}", kLastId));
    }
    return value.get<std::int32_t>();
  }

  void read_decoder(const json& decoder) {
    if (!decoder.is_object()) broken(kConfig, "added_tokens_decoder", "an object of tokens by id");
    for (const auto& [key, value] : decoder.items()) {
      const std::string field = "added_tokens_decoder." + key;
      const bool digits = !key.empty() && key.size() <= 8 && key.find_first_not_of("0123456789") == std::string::npos;
      if (!digits || !value.is_object()) broken(kConfig, field, "a token's object under its id");
      Named n = named(value, kConfig, field, false);
      n.source = fmt::format("{} (added_tokens_decoder)", kConfig);
      n.token.id = std::stoi(key);
      decoder_[n.token.id] = std::move(n);
    }
    for (const auto& [id, n] : decoder_) flags_[n.token.content] = n.token;
  }

  void read_added(const json& tokens) {
    std::set<std::string> special;
    // As in the library objects in the config do not count here, nor do the additional tokens of the map.
    const std::string of_old = fmt::format("{} ({})", kMap, kAdditional);
    const auto add_special = [&](const Named& n) {
      const bool counts = (n.plain || !n.source.starts_with(kConfig)) && n.source != of_old;
      if (!n.is_null && counts) special.insert(n.token.content);
    };
    for (const auto& [role, n] : roles_) add_special(n);
    for (const Named& n : extra_) {
      if (has_extra_) add_special(n);
    }
    for (const auto& [content, id] : tokens.items()) {
      Named n;
      n.plain = false;
      n.source = "added_tokens.json";
      n.token.content = content;
      n.token.id = id_of(id, "added_tokens.json", content);
      n.token.special = special.contains(content);
      n.token.normalized = !n.token.special;
      n.says_normalized = true;
      decoder_[n.token.id] = std::move(n);
    }
    for (const auto& [id, n] : decoder_) flags_[n.token.content] = n.token;
    // Of two tokens of one id tokenizer.json's stays.
    for (const auto& [content, token] : in_tokenizer_) {
      flags_[content] = token;
      decoder_.erase(token.id);
    }
  }

  void add(const Named& n, std::int32_t wanted) {
    const bool is_new = added_.find(n.token.content) == nullptr;
    const std::int32_t id = added_.add(n.token);
    if (!is_new || id < 0) return;
    files_.outside.push_back({"", n.token.content, id, n.source});
    if (wanted >= 0 && wanted != id) {
      files_.warnings.push_back(fmt::format("{}: token {} has id {} there; it gets {}, as in the Hugging Face library",
                                            (folder_ / n.source).string(), n.token.content, wanted, id));
    }
  }

  // All roles in the library's order: its own, then the model's, those of special_tokens_map.json first. Of one that
  // both files name the other's counts.
  std::vector<std::pair<std::string, Named>> all_roles() const {
    std::vector<std::pair<std::string, Named>> all;
    for (const char* role : kRoles) {
      if (const auto place = roles_.find(role); place != roles_.end()) all.emplace_back(role, place->second);
    }
    for (const auto& own : {map_own_, own_}) {
      for (const auto& [role, n] : own) set(all, role, n);
    }
    return all;
  }

  void add_tokens() {
    std::vector<std::pair<std::string, Named>> roles = all_roles();
    std::set<std::string> role_names;
    for (const auto& [role, n] : roles) role_names.insert(n.token.content);
    std::vector<Named> more;
    if (!has_decoder_) {  // a token of tokenizer.json that has a role is special
      for (const auto& [content, token] : in_tokenizer_) {
        if (role_names.contains(content)) more.push_back({token, false, false, true, "tokenizer.json"});
      }
    }
    for (const auto& [id, n] : decoder_) more.push_back(n);
    std::set<std::string> listed;
    for (const auto& [content, token] : in_tokenizer_) listed.insert(content);
    for (const Named& n : more) listed.insert(n.token.content);
    const auto add_if_new = [&](const Named& n) {
      if (n.is_null || listed.contains(n.token.content)) return;
      if (std::none_of(more.begin(), more.end(), [&](const Named& m) { return equal(m, n); })) more.push_back(n);
    };
    for (auto& [role, n] : roles) {
      const auto known = is_role(role) ? flags_.find(n.token.content) : flags_.end();
      if (known != flags_.end()) n.token = known->second, n.plain = false;
      add_if_new(n);
    }
    for (const Named& n : extra_) add_if_new(n);
    for (Named& n : more) {
      if (role_names.contains(n.token.content)) n.make_special();
      add(n);
    }
    for (const auto& [role, n] : roles) {
      const AddedToken* token = n.is_null ? nullptr : added_.find(n.token.content);
      files_.special_tokens.push_back({role, n.token.content, token != nullptr ? token->id : -1, n.source});
    }
  }

  void add(const Named& n) {
    const bool is_new = added_.find(n.token.content) == nullptr;
    const std::int32_t id = added_.add(n.token);
    if (!is_new || id < 0) return;
    files_.outside.push_back({"", n.token.content, id, n.source});
    if (n.token.id >= 0 && n.token.id != id) {
      files_.warnings.push_back(
          fmt::format("{}: {} gives the token {} the id {}; it gets {}, as in the Hugging Face library",
                      folder_.string(), n.source, n.token.content, n.token.id, id));
    }
  }

  std::vector<std::int32_t> stop_ids(const char* file) const {
    std::vector<std::int32_t> ids;
    const json object = read_object(folder_ / file);
    const auto place = object.find("eos_token_id");
    if (!object.is_object() || place == object.end() || place->is_null()) return ids;
    const json values = place->is_array() ? *place : json::array({*place});
    for (const json& value : values) ids.push_back(id_of(value, file, "eos_token_id"));
    return ids;
  }

  void read_stop_tokens() {
    for (const char* file : {"generation_config.json", "config.json"}) {
      files_.stop = {stop_ids(file), file};
      if (!files_.stop.ids.empty()) return;
    }
    files_.stop = {};
  }

  static constexpr std::int32_t kLastId = (1 << 24) - 1;

  fs::path folder_;
  AddedTokenList& added_;
  TokenFiles files_;
  std::map<std::string, AddedToken> in_tokenizer_;            // tokenizer.json's, by content
  std::map<std::string, Named> roles_;                        // the library's own
  std::vector<std::pair<std::string, Named>> own_, map_own_;  // the model's, of both files
  std::vector<Named> extra_;
  bool has_extra_ = false, named_extra_ = false, has_decoder_ = false;
  std::map<std::int32_t, Named> decoder_;    // added tokens of other files, by id
  std::map<std::string, AddedToken> flags_;  // of the tokens that files describe, by content
};

}  // namespace

TokenFiles read_token_files(const fs::path& folder, AddedTokenList& added) { return Reader(folder, added).read(); }

}  // namespace hadal::text
