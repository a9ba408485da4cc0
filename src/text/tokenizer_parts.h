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
  bool added = false;
  bool special = false;
  bool control = false;
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
  std::optional<std::int32_t> bos, eos, pad;
  bool add_bos_token = false;
  std::vector<std::string> warnings;
};

// Fills bos, eos, pad and add_bos_token from tokenizer_config.json, or by DeepSeek's names if it is not there, and
// marks the control tokens among the added ones (Tokenizer::is_control).
void read_tokenizer_config(const std::filesystem::path& path, Tokenizer::Parts& parts);

// Builds `raw` and `normalized` from `added`.
void build_finders(Tokenizer::Parts& parts);

}  // namespace hadal::text
