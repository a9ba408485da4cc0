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
  bool skipped = false;      // where special tokens are: special now, or before other flags were given to it
  bool normalized = false;   // looked for in the normalised text, in its own normalised form
  bool single_word = false;  // only between non-word characters or edges
  bool lstrip = false;       // swallows the white space before it
  bool rstrip = false;       // swallows the white space after it
  bool control = false;      // spelled in a text that is only text, it is no token (Tokenizer::encode_as_text)
};

// Where a cut of a text that comes in chunks goes on, in bytes of the text.
struct CutPlace {
  std::size_t at = 0;    // next place to look at
  std::size_t done = 0;  // all before it is given out
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

  // The same from `place` on. With `open` the text goes on after its end: what more text could change is left, and
  // `place` moves up to there. gap(text, whole): the next bytes of a gap, which ends with them if `whole`; a gap may be
  // empty. Of what stands before `place` the last character is looked at.
  void cut(std::string_view text, CutPlace& place, bool open, Sink<std::string_view, bool> gap,
           Sink<std::int32_t> token, const PieceSink* control) const;

 private:
  struct Node {
    std::int32_t token = -1;                                  // index into tokens_
    std::vector<std::pair<std::uint8_t, std::int32_t>> next;  // sorted by byte
  };

  struct Longest {
    std::int32_t token = -1;
    std::size_t size = 0;
    bool cut_off = false;  // the text ended where a longer token could have gone on
  };
  Longest longest(const char* p, const char* end) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_;
  bool any_lstrip_ = false;
  std::array<std::int32_t, 256> roots_{};  // node of a first byte, 0 for none
};

}  // namespace hadal::text
