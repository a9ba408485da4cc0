// What is done to a document before it is packed (SPEC §6.1): fill-in-the-middle, then the splitting of tokens that
// join punctuation and line ends.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "text/tokenizer.h"

namespace hadal::data {

struct TransformOptions {
  double fim_rate = 0;    // share of the documents
  double split_rate = 0;  // share of the tokens that can be split
};

// Fill-in-the-middle is PSM: <fim_begin> prefix <fim_hole> suffix <fim_end> middle <eos>. The two cuts fall between
// characters, not between tokens, and each piece is encoded anew: who asks for a middle later has a cursor in his text,
// wherever the tokens of the whole text would have ended. No cut falls inside an added token.
class DocumentTransform {
 public:
  // Throws Error if the tokenizer lacks what a rate above 0 needs. Keeps a copy of the tokenizer's handle.
  DocumentTransform(const text::Tokenizer& tokenizer, const TransformOptions& options);

  // key: everything random follows from it. The text of the pieces, and the document's last token if that is the
  // tokenizer's EOS, stay.
  void apply(std::uint64_t key, std::vector<std::int32_t>& document) const;

  // The parts a token is split into, each punctuation alone or line ends alone; none for most tokens.
  const std::unordered_map<std::int32_t, std::vector<std::int32_t>>& parts() const { return parts_; }

 private:
  void fill_in_the_middle(std::uint64_t key, std::vector<std::int32_t>& document) const;
  void split(std::uint64_t key, std::vector<std::int32_t>& document) const;
  void find_parts();

  text::Tokenizer tokenizer_;
  TransformOptions options_;
  std::int32_t begin_ = -1, hole_ = -1, end_ = -1;
  std::unordered_map<std::int32_t, std::vector<std::int32_t>> parts_;
};

}  // namespace hadal::data
