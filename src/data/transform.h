// What is done to a span of a document before it is packed (SPEC §6.1): fill-in-the-middle, then the splitting of
// tokens that join punctuation and line ends.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <unordered_map>
#include <vector>

#include "text/tokenizer.h"

namespace hadal::data {

struct TransformOptions {
  double fim_rate = 0;    // share of the spans
  double split_rate = 0;  // share of the tokens that can be split
};

// A text after its transformation: tokens [0, turned) are a fill-in-the-middle document of their own, what follows on
// them goes on with the text as it was, after the token before_rest. turned = 0: nothing was turned.
struct Transformed {
  std::vector<std::int32_t> tokens;
  std::size_t turned = 0;
  std::int32_t before_rest = 0;
};

// Fill-in-the-middle is PSM: <fim_begin> prefix <fim_hole> suffix <fim_end> middle <eos>. The two cuts fall between
// characters, not between tokens, and each piece is encoded anew: who asks for a middle later has a cursor in his text,
// wherever the tokens of the whole text would have ended. No cut falls inside an added token.
class DocumentTransform {
 public:
  // Throws Error if the tokenizer lacks what a rate above 0 needs. Keeps a copy of the tokenizer's handle.
  DocumentTransform(const text::Tokenizer& tokenizer, const TransformOptions& options);

  // key: everything random follows from it. The text stays, and so does its last token if that is the tokenizer's EOS.
  // What is turned always ends with EOS, or a model would never learn where a middle ends, and has at most max_turned
  // tokens (if these are more than its marks), or a row would end before its EOS: the last tokens that do not fit are
  // left behind it.
  Transformed apply(std::uint64_t key, std::vector<std::int32_t> tokens,
                    std::size_t max_turned = std::numeric_limits<std::size_t>::max()) const;

  // The parts a token is split into, each punctuation alone or line ends alone; none for most tokens.
  const std::unordered_map<std::int32_t, std::vector<std::int32_t>>& parts() const { return parts_; }

 private:
  std::vector<std::int32_t> turn(std::uint64_t key, std::span<const std::int32_t> tokens) const;
  std::vector<std::int32_t> split(std::uint64_t key, std::span<const std::int32_t> tokens, std::size_t first) const;
  void find_parts();

  text::Tokenizer tokenizer_;
  TransformOptions options_;
  std::int32_t begin_ = -1, hole_ = -1, end_ = -1;
  std::unordered_map<std::int32_t, std::vector<std::int32_t>> parts_;
};

}  // namespace hadal::data
