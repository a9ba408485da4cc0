// Hand-written matchers. Each match() returns the end of the match that starts at p, or p where there is none, and
// tries the alternatives of its expression in their order.
#include <array>
#include <string>

#include "text/pattern.h"
#include "text/scan.h"

namespace hadal::text {

namespace {

using enum CharClass;

bool is_newline(char c) { return c == '\r' || c == '\n'; }

const char* skip_newlines(const char* p, const char* end) {
  while (p < end && is_newline(*p)) ++p;
  return p;
}

// \s*[\r\n]+|\s+(?!\S)|\s+ with `newlines`, else \s+(?!\S)|\s+; p stands on white space.
const char* match_white(const char* p, const char* end, bool newlines) {
  const char* after_newline = nullptr;
  const char* last = p;
  const char* q = p;
  while (q < end) {
    const Scanned c = scan(q, end);
    if (c.kind != white) break;
    last = q;
    q += c.size;
    if (c.code_point == '\r' || c.code_point == '\n') after_newline = q;
  }
  if (newlines && after_newline != nullptr) return after_newline;
  return q == end || last == p ? q : last;  // the last white character stays with the word after it
}

// 's|'t|'re|'ve|'m|'ll|'d; (?i:) also takes U+017F, the long s.
const char* match_contraction(const char* p, const char* end, bool fold) {
  const auto letter = [&](const char* q) {
    if (q >= end) return '\0';
    return fold && *q >= 'A' && *q <= 'Z' ? static_cast<char>(*q | 0x20) : *q;
  };
  if (*p != '\'') return p;
  const char first = letter(p + 1), second = letter(p + 2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return p + 2;
  if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l'))
    return p + 3;
  if (fold && first == '\xC5' && second == '\xBF') return p + 3;
  return p;
}

// The third split of DeepSeek-V3 and R1.
struct DeepSeekV3 {
  static constexpr ClassSet kLetters{letter, mark}, kSigns{punctuation, symbol}, kPrefix{other, mark, number, white};

  static const char* match(const char* p, const char* end) {
    const Scanned c = scan(p, end);
    if (c.size == 1 && kSigns.has(c.kind)) {
      const char* q = p + 1;
      while (q < end && (*q | 0x20) >= 'a' && (*q | 0x20) <= 'z') ++q;
      if (q > p + 1) return q;
    }
    if (c.kind == letter) return skip(p + c.size, end, kLetters);
    if (kPrefix.has(c.kind) && !is_newline(*p)) {
      const char* q = skip(p + c.size, end, kLetters);
      if (q > p + c.size || c.kind == mark) return q;
    }
    const char* signs = *p == ' ' ? p + 1 : p;
    const char* q = skip(signs, end, kSigns);
    if (q > signs) return skip_newlines(q, end);
    return c.kind == white ? match_white(p, end, true) : p;
  }
};

// Qwen2 (one digit at a time) and Llama-3 (up to three).
template <int kDigits>
struct Qwen2 {
  static constexpr ClassSet kLetter{letter}, kRest{other, mark, punctuation, symbol};

  static const char* match(const char* p, const char* end) {
    if (const char* q = match_contraction(p, end, true); q > p) return q;
    const Scanned c = scan(p, end);
    if (c.kind == letter) return skip(p + c.size, end, kLetter);
    if (c.kind == number) {
      const char* q = p + c.size;
      for (int i = 1; i < kDigits && q < end; ++i) {
        const Scanned next = scan(q, end);
        if (next.kind != number) break;
        q += next.size;
      }
      return q;
    }
    if (!is_newline(*p)) {
      const char* q = skip(p + c.size, end, kLetter);
      if (q > p + c.size) return q;
    }
    const char* rest = *p == ' ' ? p + 1 : p;
    const char* q = skip(rest, end, kRest);
    if (q > rest) return skip_newlines(q, end);
    return match_white(p, end, true);
  }
};

struct Gpt2 {
  static constexpr ClassSet kLetter{letter}, kNumber{number}, kRest{other, mark, punctuation, symbol};

  static const char* match(const char* p, const char* end) {
    if (const char* q = match_contraction(p, end, false); q > p) return q;
    const char* start = *p == ' ' ? p + 1 : p;
    if (start < end) {
      const Scanned c = scan(start, end);
      if (c.kind == letter) return skip(start + c.size, end, kLetter);
      if (c.kind == number) return skip(start + c.size, end, kNumber);
      if (kRest.has(c.kind)) return skip(start + c.size, end, kRest);
    }
    return match_white(p, end, false);
  }
};

// \s+$ where $ also stands before every \n, as the reference's engine has it.
struct WhiteAtLineEnd {
  static const char* match(const char* p, const char* end) {
    const char* q = skip(p, end, ClassSet{white});
    if (q == end) return q;
    while (q > p && *q != '\n') --q;
    return q;
  }
};

// Whether what match() said of p stays the same when the text goes on. All that it looks at are runs that begin at p:
// the longest that goes beyond its answer q is one of white space; a contraction looks at the three bytes after p.
bool is_settled(const char* q, const char* end) {
  constexpr std::ptrdiff_t kMargin = 8;
  return end - skip(q, end, ClassSet{white}) >= kMargin;
}

template <class Matcher>
class HandPattern final : public Pattern {
 public:
  void find_all(std::string_view text, MatchSink sink) const override { search<false>(text, 0, sink); }

  void find(std::string_view text, Cursor& cursor, bool open, MatchSink sink) const override {
    cursor.start = open ? search<true>(text, cursor.start, sink) : search<false>(text, cursor.start, sink);
  }

 private:
  template <bool kOpen>
  static std::size_t search(std::string_view text, std::size_t start, MatchSink sink) {
    const char* const begin = text.data();
    const char* const end = begin + text.size();
    const char* p = begin + start;
    while (p < end) {
      const char* q = Matcher::match(p, end);
      if (kOpen && !is_settled(q, end)) break;
      if (q > p) sink(static_cast<std::size_t>(p - begin), static_cast<std::size_t>(q - begin));
      p = q > p ? q : p + scan(p, end).size;
    }
    return static_cast<std::size_t>(p - begin);
  }
};

template <class Matcher>
std::unique_ptr<Pattern> make() {
  return std::make_unique<HandPattern<Matcher>>();
}

struct Known {
  std::string_view regex;
  std::unique_ptr<Pattern> (*make)();
};

constexpr std::array<Known, 5> kKnown = {{
    {R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     &make<DeepSeekV3>},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     &make<Qwen2<1>>},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     &make<Qwen2<3>>},
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", &make<Gpt2>},
    {R"(\s+$)", &make<WhiteAtLineEnd>},
}};

}  // namespace

std::unique_ptr<Pattern> gpt2_pattern() { return make<Gpt2>(); }

std::unique_ptr<Pattern> known_pattern(std::string_view regex) {
  std::string canonical;  // files hold \r and \n as escapes or as the characters themselves
  for (const char c : regex) {
    if (is_newline(c)) {
      canonical += c == '\r' ? "\\r" : "\\n";
    } else {
      canonical += c;
    }
  }
  for (const Known& known : kKnown) {
    if (canonical == known.regex) return known.make();
  }
  return nullptr;
}

}  // namespace hadal::text
