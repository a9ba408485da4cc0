// Reads tokenizer.json. What would change ids and is not supported is an error.
#include <cstdint>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/model_folder.h"
#include "text/byte_table.h"
#include "text/normalize.h"
#include "text/tokenizer_parts.h"

namespace hadal::text {

namespace {

using Json = json;

std::string kind_of(const Json& value) {
  const auto type = value.is_object() ? value.find("type") : value.end();
  return value.is_object() && type != value.end() && type->is_string() ? type->get<std::string>() : std::string();
}

class Loader {
 public:
  explicit Loader(const fs::path& path) : path_(path.string()) {}

  std::shared_ptr<Tokenizer::Parts> load() {
    const Json file = read_json(path_);
    if (!file.is_object()) broken("the file", "an object");
    read_model(member(file, "model", "the file"));
    read_added_tokens(file.value("added_tokens", Json::array()));
    read_normalizer(optional(file, "normalizer"));
    if (!read_pretokenizer(optional(file, "pre_tokenizer"))) {
      fail("{}: pre_tokenizer has no ByteLevel step at its end; only byte-level tokenizers are supported", path_);
    }
    read_post_processor(optional(file, "post_processor"));
    read_decoder(optional(file, "decoder"));
    for (const char* key : {"truncation", "padding"}) {
      if (!optional(file, key).is_null()) parts_->warnings.push_back(fmt::format("{}: {} is ignored", path_, key));
    }
    finish();
    return parts_;
  }

 private:
  [[noreturn]] void broken(std::string_view where, std::string_view expected) const {
    fail("{}: {} must be {}", path_, where, expected);
  }

  [[noreturn]] void unsupported(std::string_view part, const Json& value, std::string_view right) const {
    const std::string kind = kind_of(value);
    fail("{}: {} {} is not supported; supported: {}", path_, part, kind.empty() ? value.dump().substr(0, 80) : kind,
         right);
  }

  static Json optional(const Json& object, const char* key) {
    const auto place = object.find(key);
    return place == object.end() ? Json() : *place;
  }

  const Json& member(const Json& object, const char* key, std::string_view where) const {
    const auto place = object.is_object() ? object.find(key) : object.end();
    if (!object.is_object() || place == object.end()) fail("{}: {} has no {}", path_, where, key);
    return *place;
  }

  bool flag(const Json& object, const char* key, bool otherwise, std::string_view where) const {
    const Json value = optional(object, key);
    if (value.is_null()) return otherwise;
    if (!value.is_boolean()) broken(fmt::format("{}.{}", where, key), "true or false");
    return value.get<bool>();
  }

  std::string text(const Json& value, std::string_view where) const {
    if (!value.is_string()) broken(where, "a string");
    return value.get<std::string>();
  }

  std::int32_t id(const Json& value, std::string_view where) const {
    if (!value.is_number_integer() || value.get<double>() < 0 || value.get<double>() > kLastId) {
      broken(where, fmt::format("an integer from 0 to {}", kLastId));
    }
    return value.get<std::int32_t>();
  }

  void read_model(const Json& model) {
    const std::string kind = kind_of(model);
    if (!kind.empty() && kind != "BPE") unsupported("model", model, "BPE");
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      const Json value = optional(model, key);
      if (!value.is_null() && value != "") fail("{}: model.{} is not supported; it must be null", path_, key);
    }
    const Json dropout = optional(model, "dropout");
    if (!dropout.is_null() && dropout != 0.0) fail("{}: model.dropout is not supported; it must be null", path_);
    ignore_merges_ = flag(model, "ignore_merges", false, "model");
    read_vocabulary(member(model, "vocab", "model"));
    read_merges(member(model, "merges", "model"));
  }

  void read_vocabulary(const Json& vocab) {
    if (!vocab.is_object()) broken("model.vocab", "an object");
    byte_ids_.fill(-1);
    model_ids_.reserve(vocab.size());
    for (const auto& [name, value] : vocab.items()) {
      // The name of the place is put together for an error only: there are 10^5 of them.
      const bool plain = value.is_number_unsigned() && value.get<std::uint64_t>() <= kLastId;
      const std::int32_t number = plain ? value.get<std::int32_t>() : id(value, "model.vocab[" + name + "]");
      model_ids_.emplace(name, number);
      const std::optional<std::string> bytes = from_byte_characters(name);
      if (bytes && bytes->size() == 1) byte_ids_[static_cast<std::uint8_t>((*bytes)[0])] = number;
      if (bytes && ignore_merges_) whole_pieces_.emplace(*bytes, number);
      put(number, {bytes.value_or(name), false, false}, name);
    }
    std::string missing;
    for (unsigned byte = 0; byte < 256; ++byte) {
      const bool never_valid = byte == 0xC0 || byte == 0xC1 || byte >= 0xF5;  // in UTF-8
      if (byte_ids_[byte] < 0 && !never_valid) missing += fmt::format(" {:#04x}", byte);
    }
    if (!missing.empty()) {
      parts_->warnings.push_back(
          fmt::format("{}: these bytes have no token and are left out of any text:{}", path_, missing));
    }
  }

  void put(std::int32_t number, Token token, const std::string& name) {
    const auto place = static_cast<std::size_t>(number);
    if (place >= parts_->tokens.size()) parts_->tokens.resize(place + 1);
    if (place >= used_.size()) used_.resize(place + 1);
    if (used_[place]) fail("{}: id {} belongs to two tokens; one is {}", path_, number, name);
    used_[place] = true;
    parts_->tokens[place] = std::move(token);
  }

  void read_merges(const Json& merges) {
    if (!merges.is_array()) broken("model.merges", "an array");
    merges_.reserve(merges.size());
    for (std::size_t i = 0; i < merges.size(); ++i) {
      const Json& merge = merges[i];
      const auto where = [&] { return fmt::format("model.merges[{}]", i); };
      std::string left, right;
      if (merge.is_string()) {
        const std::string both = merge.get<std::string>();
        const std::size_t space = both.find(' ');
        if (space == std::string::npos || both.find(' ', space + 1) != std::string::npos) {
          broken(where(), "two tokens with one space between them");
        }
        left = both.substr(0, space), right = both.substr(space + 1);
      } else if (merge.is_array() && merge.size() == 2) {
        left = text(merge[0], where()), right = text(merge[1], where());
      } else {
        broken(where(), "a string or a pair of strings");
      }
      merges_.push_back({model_id(left, i), model_id(right, i), model_id(left + right, i)});
    }
  }

  std::int32_t model_id(const std::string& name, std::size_t merge) const {
    const auto place = model_ids_.find(name);
    if (place == model_ids_.end())
      fail("{}: model.merges[{}] needs the token {}, which is not in model.vocab", path_, merge, name);
    return place->second;
  }

  void read_added_tokens(const Json& added) {
    if (!added.is_array()) broken("added_tokens", "an array");
    for (std::size_t i = 0; i < added.size(); ++i) {
      const std::string where = fmt::format("added_tokens[{}]", i);
      AddedToken token;
      token.content = text(member(added[i], "content", where), where + ".content");
      token.id = id(member(added[i], "id", where), where + ".id");
      token.special = flag(added[i], "special", false, where);
      token.normalized = flag(added[i], "normalized", !token.special, where);
      token.single_word = flag(added[i], "single_word", false, where);
      token.lstrip = flag(added[i], "lstrip", false, where);
      token.rstrip = flag(added[i], "rstrip", false, where);
      if (token.content.empty()) continue;
      add(std::move(token));
    }
  }

  void add(AddedToken token) {
    const auto in_model = model_ids_.find(token.content);
    if (in_model != model_ids_.end()) {
      if (in_model->second != token.id) {
        parts_->warnings.push_back(fmt::format("{}: added token {} has id {} but model.vocab says {}, which is taken",
                                               path_, token.content, token.id, in_model->second));
      }
      token.id = in_model->second;
      parts_->tokens[static_cast<std::size_t>(token.id)] = {token.content, true, token.special};
    } else {
      put(token.id, {token.content, true, token.special}, token.content);
    }
    parts_->added.push_back(std::move(token));
  }

  void read_normalizer(const Json& normalizer) {
    if (normalizer.is_null()) return;
    const std::string kind = kind_of(normalizer);
    if (kind == "NFC") {
      parts_->nfc = true;
    } else if (kind == "Sequence") {
      for (const Json& part : list(normalizer, "normalizers", "normalizer")) read_normalizer(part);
    } else {
      unsupported("normalizer", normalizer, "null, NFC, Sequence");
    }
  }

  const Json& list(const Json& object, const char* key, std::string_view where) const {
    const Json& value = member(object, key, where);
    if (!value.is_array()) broken(fmt::format("{}.{}", where, key), "an array");
    return value;
  }

  // Returns whether the last step is ByteLevel: from there on pieces are made of the byte table's characters.
  bool read_pretokenizer(const Json& step) {
    const std::string kind = kind_of(step);
    if (kind == "Sequence") {
      bool byte_level = false;
      for (const Json& part : list(step, "pretokenizers", "pre_tokenizer")) {
        if (byte_level) fail("{}: pre_tokenizer has a step after ByteLevel, which is not supported", path_);
        byte_level = read_pretokenizer(part);
      }
      return byte_level;
    }
    if (kind == "ByteLevel") {
      parts_->pretokenizer.add_byte_level(flag(step, "add_prefix_space", true, kind),
                                          flag(step, "use_regex", true, kind));
      return true;
    }
    if (kind == "Digits") {
      parts_->pretokenizer.add_digits(flag(step, "individual_digits", false, kind));
    } else if (kind == "Split") {
      read_split(step);
    } else {
      unsupported("pre_tokenizer", step, "Sequence, Split, Digits, ByteLevel");
    }
    return false;
  }

  void read_split(const Json& step) {
    static const std::pair<std::string_view, SplitBehavior> kBehaviors[] = {
        {"Isolated", SplitBehavior::isolated},
        {"Removed", SplitBehavior::removed},
        {"MergedWithPrevious", SplitBehavior::merged_with_previous},
        {"MergedWithNext", SplitBehavior::merged_with_next},
        {"Contiguous", SplitBehavior::contiguous}};
    const Json& pattern = member(step, "pattern", "Split");
    const Json regex = optional(pattern, "Regex"), literal = optional(pattern, "String");
    if (regex.is_string() == literal.is_string()) broken("Split.pattern", "{\"Regex\": …} or {\"String\": …}");
    const std::string name = text(member(step, "behavior", "Split"), "Split.behavior");
    for (const auto& [known, behavior] : kBehaviors) {
      if (name != known) continue;
      auto matcher = regex.is_string() ? make_pattern(regex.get<std::string>(), parts_->warnings)
                                       : literal_pattern(literal.get<std::string>());
      parts_->pretokenizer.add_split(std::move(matcher), behavior, flag(step, "invert", false, "Split"));
      return;
    }
    fail(
        "{}: Split.behavior {} is not supported; supported: Isolated, Removed, MergedWithPrevious, MergedWithNext, "
        "Contiguous",
        path_, name);
  }

  void read_post_processor(const Json& processor) {
    const std::string kind = kind_of(processor);
    if (processor.is_null() || kind == "ByteLevel") return;
    if (kind == "Sequence") {
      for (const Json& part : list(processor, "processors", "post_processor")) read_post_processor(part);
    } else if (kind == "TemplateProcessing") {
      read_template(processor);
    } else {
      unsupported("post_processor", processor, "null, ByteLevel, TemplateProcessing, Sequence");
    }
  }

  void read_template(const Json& processor) {
    const Json& known = member(processor, "special_tokens", "TemplateProcessing");
    std::vector<std::int32_t> before, after;
    bool text_seen = false;
    for (const Json& piece : list(processor, "single", "TemplateProcessing")) {
      const Json special = optional(piece, "SpecialToken"), sequence = optional(piece, "Sequence");
      if (!sequence.is_null()) {
        if (text_seen || optional(sequence, "id") != "A")
          broken("TemplateProcessing.single", "one Sequence A with special tokens");
        text_seen = true;
        continue;
      }
      const std::string name = text(member(special, "id", "TemplateProcessing.single"), "SpecialToken.id");
      const Json& entry = member(known, name.c_str(), "TemplateProcessing.special_tokens");
      for (const Json& value : list(entry, "ids", name))
        (text_seen ? after : before).push_back(id(value, name + ".ids"));
    }
    if (!text_seen) broken("TemplateProcessing.single", "one Sequence A with special tokens");
    parts_->before.insert(parts_->before.begin(), before.begin(), before.end());
    parts_->after.insert(parts_->after.end(), after.begin(), after.end());
  }

  void read_decoder(const Json& decoder) {
    const std::string kind = kind_of(decoder);
    if (decoder.is_null()) {
      parts_->warnings.push_back(fmt::format("{}: decoder is null; tokens are decoded as ByteLevel", path_));
    } else if (kind == "Sequence") {
      for (const Json& part : list(decoder, "decoders", "decoder")) read_decoder(part);
    } else if (kind != "ByteLevel") {
      unsupported("decoder", decoder, "null, ByteLevel, Sequence");
    }
  }

  void finish() {
    parts_->ids.reserve(parts_->tokens.size());
    for (const bool added : {true, false}) {
      for (std::size_t i = 0; i < parts_->tokens.size(); ++i) {
        const Token& token = parts_->tokens[i];
        if (used_[i] && token.added == added) parts_->ids.emplace(token.bytes, static_cast<std::int32_t>(i));
      }
    }
    parts_->model.emplace(byte_ids_, merges_, std::move(whole_pieces_));
  }

  static constexpr std::int32_t kLastId = (1 << 24) - 1;

  std::string path_;
  std::shared_ptr<Tokenizer::Parts> parts_ = std::make_shared<Tokenizer::Parts>();
  bool ignore_merges_ = false;
  std::vector<bool> used_;
  IdsByText model_ids_;  // by the name in the file
  IdsByText whole_pieces_;
  std::array<std::int32_t, 256> byte_ids_{};
  std::vector<Merge> merges_;
};

}  // namespace

void build_finders(Tokenizer::Parts& parts) {
  std::vector<AddedToken> raw, normalized;
  for (const bool special : {true, false}) {  // special ones come first among equal contents
    for (const AddedToken& token : parts.added) {
      if (token.special != special) continue;
      (token.normalized ? normalized : raw).push_back(token);
    }
  }
  for (AddedToken& token : normalized) {
    if (parts.nfc) token.content = nfc(token.content);
  }
  parts.raw = AddedTokenFinder(std::move(raw));
  parts.normalized = AddedTokenFinder(std::move(normalized));
}

Tokenizer Tokenizer::load(const fs::path& model_dir_or_json) {
  const fs::path given = model_folder(model_dir_or_json);
  const fs::path path = fs::is_directory(given) ? given / "tokenizer.json" : given;
  std::shared_ptr<Parts> parts = Loader(path).load();
  read_tokenizer_config(path.parent_path() / "tokenizer_config.json", *parts);
  build_finders(*parts);
  return Tokenizer(std::move(parts));
}

}  // namespace hadal::text
