// The added tokens of a tokenizer as the Hugging Face library keeps them: a list that gives out ids.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"

namespace hadal::text {

class AddedTokenList {
 public:
  // model_ids: the vocabulary's own tokens by name; it must outlive the list.
  explicit AddedTokenList(const IdsByText& model_ids);

  // Adds the token, or gives a token of equal content other flags. Its id is the vocabulary's or that of the token with
  // equal content; else the next one: token.id does not count, unless another token of the vocabulary has that one (its
  // ids have gaps). Returns the id; -1 for an empty content.
  std::int32_t add(AddedToken token);

  const AddedToken* find(std::string_view content) const;
  const std::vector<AddedToken>& tokens() const { return tokens_; }

 private:
  const IdsByText& model_ids_;
  std::vector<AddedToken> tokens_;
  IdsByText places_;  // in tokens_, by content
  std::int32_t last_ = -1;
  std::vector<bool> taken_;  // by id
};

}  // namespace hadal::text
