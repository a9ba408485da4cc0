// Reads tokenizer.json. What would change ids and is not supported is an error.
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/byte_table.h"
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

  LoadedFile load() {
    const Json file = read_json(path_);
    if (!file.is_object()) broken("the file", "an object");
    check_fields(file);
    read_model(member(file, "model", "the file"));
    read_added_tokens(file.value("added_tokens", Json::array()));
    read_normalizer(optional(file, "normalizer"));
    if (!read_pretokenizer(optional(file, "pre_tokenizer"))) {
      fail("{}: pre_tokenizer has no ByteLevel step at its end; only byte-level tokenizers are supported", path_);
    }
    read_post_processor(optional(file, "post_processor"));
    read_decoder(optional(file, "decoder"));
    if (!decodes_) {
      fail("{}: decoder has no ByteLevel step: the library would print the byte table's characters; it must have one",
           path_);
    }
    for (const char* key : {"truncation", "padding"}) {
      const Json value = optional(file, key);
      if (!value.is_null() && !value.is_object()) broken(key, "null or an object");
      if (!value.is_null()) parts_->warnings.push_back(fmt::format("{}: {} is ignored", path_, key));
    }
    loaded_.parts = parts_;
    finish();
    return std::move(loaded_);
  }

 private:
  void check_fields(const Json& file) const {
    static constexpr std::string_view kFields[] = {"version",        "truncation", "padding",
                                                   "added_tokens",   "normalizer", "pre_tokenizer",
                                                   "post_processor", "decoder",    "model"};
    for (const auto& [key, value] : file.items()) {
      if (std::find(std::begin(kFields), std::end(kFields), key) == std::end(kFields)) {
        fail("{}: field {} is not known; a tokenizer has {}", path_, key, fmt::join(kFields, ", "));
      }
    }
    const Json version = optional(file, "version");
    if (!version.is_null() && version != "1.0")
      fail("{}: version {} is not known; it must be \"1.0\"", path_, version.dump());
  }

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
    const std::string kind = kind_of(model);  // old files do not say it
    if (!model.is_object() || (model.contains("type") && kind != "BPE")) unsupported("model", model, "BPE");
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      const Json value = optional(model, key);
      if (!value.is_null() && value != "") fail("{}: model.{} is not supported; it must be null", path_, key);
    }
    const Json dropout = optional(model, "dropout");
    if (!dropout.is_null() && dropout != 0.0) fail("{}: model.dropout is not supported; it must be null", path_);
    ignore_merges_ = flag(model, "ignore_merges", false, "model");
    read_vocabulary(member(model, "vocab", "model"));
    read_unknown(model);
    read_merges(member(model, "merges", "model"));
  }

  void read_vocabulary(const Json& vocab) {
    if (!vocab.is_object()) broken("model.vocab", "an object");
    byte_ids_.fill(-1);
    loaded_.model_ids.reserve(vocab.size());
    for (const auto& [name, value] : vocab.items()) {
      // The name of the place is put together for an error only: there are 10^5 of them.
      const bool plain = value.is_number_unsigned() && value.get<std::uint64_t>() <= kLastId;
      const std::int32_t number = plain ? value.get<std::int32_t>() : id(value, "model.vocab[" + name + "]");
      loaded_.model_ids.emplace(name, number);
      const std::optional<std::string> bytes = from_byte_characters(name);
      if (bytes && bytes->size() == 1) byte_ids_[static_cast<std::uint8_t>((*bytes)[0])] = number;
      if (bytes && ignore_merges_) whole_pieces_.emplace(*bytes, number);
      if (!parts_->put(number, bytes.value_or(name))) {
        fail("{}: id {} belongs to two tokens; one is {}", path_, number, name);
      }
    }
    for (unsigned byte = 0; byte < 256; ++byte) {
      const bool never_valid = byte == 0xC0 || byte == 0xC1 || byte >= 0xF5;  // in UTF-8
      if (byte_ids_[byte] < 0 && !never_valid) missing_ += fmt::format(" {:#04x}", byte);
    }
  }

  // unk_token stands for the bytes that have no token; where all have one neither it nor byte_fallback counts.
  void read_unknown(const Json& model) {
    const Json name = optional(model, "unk_token");
    const bool fuse = flag(model, "fuse_unk", false, "model"), fallback = flag(model, "byte_fallback", false, "model");
    if (!name.is_null()) text(name, "model.unk_token");
    if (missing_.empty()) return;
    if (fallback) {
      fail("{}: model.byte_fallback true is not supported where bytes have no token (here:{}); it must be false", path_,
           missing_);
    }
    if (name.is_null()) {
      parts_->warnings.push_back(
          fmt::format("{}: these bytes have no token and are left out of any text:{}", path_, missing_));
      return;
    }
    const auto place = loaded_.model_ids.find(name.get<std::string>());
    if (place == loaded_.model_ids.end()) {
      fail("{}: model.unk_token {} is not in model.vocab, but bytes without a token need it:{}", path_,
           name.get<std::string>(), missing_);
    }
    unknown_ = {place->second, fuse};
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
    const auto place = loaded_.model_ids.find(name);
    if (place == loaded_.model_ids.end())
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
      loaded_.added.push_back(std::move(token));
    }
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
      const bool prefix = flag(step, "add_prefix_space", true, kind), regex = flag(step, "use_regex", true, kind);
      parts_->pretokenizer.add_byte_level(prefix, regex);
      steps_ += fmt::format("ByteLevel {} {}\n", prefix, regex);
      return true;
    }
    if (kind == "Digits") {
      const bool individual = flag(step, "individual_digits", false, kind);
      parts_->pretokenizer.add_digits(individual);
      steps_ += fmt::format("Digits {}\n", individual);
    } else if (kind == "Split") {
      read_split(step);
    } else {
      unsupported("pre_tokenizer", step, "Sequence, Split, Digits, ByteLevel");
    }
    return false;
  }

  std::unique_ptr<Pattern> matcher_of(const Json& regex, const Json& literal) const {
    try {
      return regex.is_string() ? make_pattern(regex.get<std::string>(), parts_->warnings)
                               : literal_pattern(literal.get<std::string>());
    } catch (const Error& e) {
      fail("{}: Split.pattern {}: {}", path_, (regex.is_string() ? regex : literal).get<std::string>(), e.what());
    }
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
      auto matcher = matcher_of(regex, literal);
      const bool invert = flag(step, "invert", false, "Split");
      parts_->pretokenizer.add_split(std::move(matcher), behavior, invert);
      steps_ += fmt::format("Split {} {} {}\n", pattern.dump(), name, invert);
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
    if (decoder.is_null()) return;
    if (kind == "Sequence") {
      for (const Json& part : list(decoder, "decoders", "decoder")) read_decoder(part);
    } else if (kind != "ByteLevel") {
      unsupported("decoder", decoder, "ByteLevel, Sequence");
    } else if (decodes_) {
      broken("decoder", "ByteLevel once: it has that step twice");
    } else {
      decodes_ = true;
    }
  }

  void finish() {
    Fingerprint& print = parts_->print;
    for (std::size_t i = 0; i < parts_->tokens.size(); ++i)
      print.add(static_cast<std::int64_t>(i), parts_->tokens[i].bytes);
    for (const Merge& merge : merges_) print.add(merge.left, merge.right, merge.result);
    print.add(static_cast<std::int64_t>(ignore_merges_), unknown_.id, static_cast<std::int64_t>(unknown_.fuse));
    print.add(static_cast<std::int64_t>(parts_->nfc), steps_);
    parts_->model.emplace(byte_ids_, merges_, std::move(whole_pieces_), unknown_);
  }

  static constexpr std::int32_t kLastId = (1 << 24) - 1;

  std::string path_;
  std::shared_ptr<Tokenizer::Parts> parts_ = std::make_shared<Tokenizer::Parts>();
  LoadedFile loaded_;
  bool ignore_merges_ = false, decodes_ = false;
  UnknownToken unknown_;
  std::string steps_;  // of the pre-tokenizer, for the fingerprint
  IdsByText whole_pieces_;
  std::array<std::int32_t, 256> byte_ids_{};
  std::string missing_;  // bytes without a token
  std::vector<Merge> merges_;
};

}  // namespace

LoadedFile read_tokenizer_json(const fs::path& path) { return Loader(path).load(); }

}  // namespace hadal::text
