// Patterns of pre-tokenizers: the matches of a regular expression in a piece of text, one after the other.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/sink.h"

namespace hadal::text {

// Where a search in a text that comes in pieces goes on.
struct Cursor {
  std::size_t start = 0;               // the first place where a match may begin
  std::size_t last = ~std::size_t{0};  // end of the match before it
};

class Pattern {
 public:
  virtual ~Pattern() = default;
  // Calls sink(begin, end) for every match from left to right; matches do not overlap. An
  // empty one (patterns left to PCRE2 only) cuts the text where it stands.
  virtual void find_all(std::string_view text, MatchSink sink) const = 0;

  // The same from the cursor on. With `open` the text goes on after its end: only matches that stay, whatever follows,
  // are given, and the cursor is moved to where the search goes on when more text is there. Of what stands before
  // cursor.start only the last look_behind() bytes are looked at.
  virtual void find(std::string_view text, Cursor& cursor, bool open, MatchSink sink) const = 0;
  virtual std::size_t look_behind() const { return 0; }
};

// The pattern of GPT-2, which pre-tokenizers of type ByteLevel use by themselves.
std::unique_ptr<Pattern> gpt2_pattern();

// Hand-written matcher of a regular expression we know (DeepSeek-V3, V2, Qwen2, Llama-3, GPT-2); nullptr if we do not.
std::unique_ptr<Pattern> known_pattern(std::string_view regex);

// Exact matcher of `CLASS`, `CLASS+`, `CLASS{m,n}` or `\s?CLASS+`; nullptr if the expression is anything else.
std::unique_ptr<Pattern> class_run_pattern(std::string_view regex);

// Any other expression through PCRE2 (text/oniguruma.h). Throws Error, which does not name it, if that cannot be.
std::unique_ptr<Pattern> pcre2_pattern(const std::string& regex);

// A text that stands for itself.
std::unique_ptr<Pattern> literal_pattern(std::string text);

// The first of the above that takes `regex`; a pattern left to PCRE2 adds a line to `warnings`. Throws Error as above.
std::unique_ptr<Pattern> make_pattern(const std::string& regex, std::vector<std::string>& warnings);

}  // namespace hadal::text
