// The added, special and stop tokens of a model folder, out of every file that the Hugging Face library reads.
//
// Special and added tokens: tokenizer.json, tokenizer_config.json, and where that has no added_tokens_decoder,
// special_tokens_map.json (which wins) and added_tokens.json. Stop tokens: generation_config.json, else config.json,
// else the tokenizer's EOS.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "text/added_list.h"
#include "text/tokenizer.h"

namespace hadal::text {

struct TokenFiles {
  std::vector<SpecialToken> special_tokens;  // a role each, in the library's order; a role that a file sets to null has
                                             // id -1
  std::vector<SpecialToken> outside;         // added tokens that are not in tokenizer.json, without a role
  StopTokens stop;
  std::vector<std::string> warnings;
};

// `added` holds those of tokenizer.json and takes the others, marked as control tokens where they have a role. Throws
// Error naming the file and the field.
TokenFiles read_token_files(const std::filesystem::path& folder, AddedTokenList& added);

}  // namespace hadal::text
