// What a tokenizer.json says, ready for use. Private to src/text.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/pretokenizer.h"
#include "text/tokenizer.h"

namespace hadal::text {

struct Token {
  std::string bytes;
  bool used = false;  // ids may have gaps
  bool added = false;
  bool special = false;
  bool control = false;
};

// FNV-1a of numbers and texts.
class Fingerprint {
 public:
  template <class... Values>
  void add(const Values&... values) {
    (add_one(values), ...);
  }
  std::uint64_t value() const { return hash_; }

 private:
  void add_one(std::int64_t value) {
    for (int i = 0; i < 8; ++i) step(static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> (8 * i)));
  }
  void add_one(std::string_view text) {
    add_one(static_cast<std::int64_t>(text.size()));
    for (const char c : text) step(static_cast<std::uint8_t>(c));
  }
  void step(std::uint8_t byte) { hash_ = (hash_ ^ byte) * 0x100000001B3u; }

  std::uint64_t hash_ = 0xCBF29CE484222325u;
};

struct Tokenizer::Parts {
  std::vector<Token> tokens;  // by id
  IdsByText ids;
  std::vector<AddedToken> added;
  AddedTokenFinder raw, normalized;  // looked for before and after the normalizer
  bool nfc = false;
  PreTokenizer pretokenizer;
  std::optional<BpeModel> model;
  std::vector<std::int32_t> before, after;  // what the post-processor puts around a text
  std::vector<SpecialToken> special_tokens, outside;
  StopTokens stop;
  Fingerprint print;  // of all that decides the ids of a training text
  std::vector<std::string> warnings;

  // False if the id is taken.
  bool put(std::int32_t id, std::string bytes) {
    const auto place = static_cast<std::size_t>(id);
    if (place >= tokens.size()) tokens.resize(place + 1);
    if (tokens[place].used) return false;
    tokens[place].bytes = std::move(bytes);
    return tokens[place].used = true;
  }

  std::optional<std::int32_t> role(std::string_view name) const {
    for (const SpecialToken& token : special_tokens) {
      if (token.role == name && token.id >= 0) return token.id;
    }
    return std::nullopt;
  }
};

// What tokenizer.json holds: `parts` without its added tokens.
struct LoadedFile {
  std::shared_ptr<Tokenizer::Parts> parts;
  IdsByText model_ids;            // by the names of the file
  std::vector<AddedToken> added;  // with the ids of the file
};
LoadedFile read_tokenizer_json(const std::filesystem::path& path);

}  // namespace hadal::text
