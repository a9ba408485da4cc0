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
};

struct Tokenizer::Parts {
  std::vector<Token> tokens;  // by id
  IdsByText ids;
  AddedTokenFinder raw, normalized;  // looked for before and after the normalizer
  bool nfc = false;
  PreTokenizer pretokenizer;
  std::optional<BpeModel> model;
  std::vector<std::int32_t> before, after;  // what the post-processor puts around a text
  std::optional<std::int32_t> bos, eos, pad;
  bool add_bos_token = false;
  std::vector<std::string> warnings;
};

// Fills bos, eos, pad and add_bos_token from the file, or by DeepSeek's names if it is not there.
void read_tokenizer_config(const std::filesystem::path& path, Tokenizer::Parts& parts);

}  // namespace hadal::text
