// Added tokens: texts cut out as one token before anything else happens to them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/sink.h"

namespace hadal::text {

struct AddedToken {
  std::int32_t id = -1;
  std::string content;
  bool special = false;
  bool normalized = false;   // looked for in the normalised text, in its own normalised form
  bool single_word = false;  // only between non-word characters or edges
  bool lstrip = false;       // swallows the white space before it
  bool rstrip = false;       // swallows the white space after it
  bool control = false;      // spelled in a text that is only text, it is no token (Tokenizer::encode_as_text)
};

// Finds a set of added tokens, left to right, the longest at each place.
class AddedTokenFinder {
 public:
  AddedTokenFinder() = default;
  // Among tokens of equal content the first one counts; empty ones are never found.
  explicit AddedTokenFinder(std::vector<AddedToken> tokens);

  bool empty() const { return tokens_.empty(); }

  // gap(text) for every stretch between tokens (never empty), token(id) for every token, in order. With `control` a
  // control token is none: its text goes there, alone, and no white space is swallowed.
  void cut(std::string_view text, PieceSink gap, Sink<std::int32_t> token, const PieceSink* control = nullptr) const;

 private:
  struct Node {
    std::int32_t token = -1;                                  // index into tokens_
    std::vector<std::pair<std::uint8_t, std::int32_t>> next;  // sorted by byte
  };

  // The longest token at p: its index and size, or -1.
  std::int32_t longest(const char* p, const char* end, std::size_t& size) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_;
  std::array<std::int32_t, 256> roots_{};  // node of a first byte, 0 for none
};

}  // namespace hadal::text
