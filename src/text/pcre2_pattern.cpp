#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/core.h>
#include <pcre2.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "text/oniguruma.h"
#include "text/pattern.h"
#include "text/scan.h"

namespace hadal::text {

namespace {

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

std::string error_text(int code) {
  PCRE2_UCHAR buffer[256] = {};
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

class Pcre2Pattern final : public Pattern {
 public:
  explicit Pcre2Pattern(const std::string& regex) : regex_(regex) {
    const std::string text = for_pcre2(regex);
    int code = 0;
    PCRE2_SIZE offset = 0;
    // Multi-line: in the reference's engine ^ and $ always stand at line ends.
    constexpr std::uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
    code_.reset(
        pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), kOptions, &code, &offset, nullptr));
    if (!code_) fail("it does not compile: {}", error_text(code));
    // Without JIT the interpreter matches the same.
    pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
    std::uint32_t characters = 0;
    pcre2_pattern_info(code_.get(), PCRE2_INFO_MAXLOOKBEHIND, &characters);
    look_behind_ = (std::size_t{characters} + 1) * 4;
    // What these say of a place depends on where the search began or on more than the text at the place.
    for (const char* word : {"\\G", "\\K", "(*"}) whole_only_ |= regex.find(word) != std::string::npos;
  }

  void find_all(std::string_view text, MatchSink sink) const override {
    Cursor cursor;
    find(text, cursor, false, sink);
  }

  std::size_t look_behind() const override { return look_behind_; }

  // Each stretch of valid UTF-8 is a text of its own; nothing matches an invalid byte.
  void find(std::string_view text, Cursor& cursor, bool open, MatchSink sink) const override {
    if (open && whole_only_) return;
    const MatchData data(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = begin + valid_size(text.substr(begin));
      if (end >= cursor.start) {
        search(text.substr(begin, end - begin), begin, cursor, open && end == text.size(), data.get(), sink);
        if (end < text.size()) cursor.start = end + 1;
      }
      begin = end + 1;
    }
  }

 private:
  using MatchData = std::unique_ptr<pcre2_match_data, FreeMatchData>;

  static std::size_t valid_size(std::string_view text) {
    const char* const end = text.data() + text.size();
    const char* p = text.data();
    while (p < end) {
      const Decoded c = decode_utf8(p, end);
      if (c.code_point == kInvalid) break;
      p += c.size;
    }
    return static_cast<std::size_t>(p - text.data());
  }

  // `text` is valid and lies `offset` bytes behind the beginning of what the cursor counts in.
  void search(std::string_view text, std::size_t offset, Cursor& cursor, bool open, pcre2_match_data* data,
              MatchSink sink) const {
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data);
    std::size_t start = std::max(cursor.start, offset) - offset;
    while (start < text.size() || (!open && start == text.size())) {
      const int found = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), start,
                                    PCRE2_NO_UTF_CHECK | (open ? PCRE2_PARTIAL_HARD : 0), data, nullptr);
      if (found == PCRE2_ERROR_PARTIAL) {
        start = range[0];  // before it there is no match, whatever follows
        break;
      }
      if (found == PCRE2_ERROR_NOMATCH) {
        start = text.size();
        break;
      }
      if (found < 0) fail("the pre-tokenizer's pattern {} failed on a text: {}", regex_, error_text(found));
      if (range[1] == range[0] && range[0] + offset == cursor.last) {
        // An empty match right after a match does not count.
        start += start < text.size() ? scan(text.data() + start, text.data() + text.size()).size : 1;
        continue;
      }
      sink(offset + range[0], offset + range[1]);
      start = range[1];
      cursor.last = offset + start;
    }
    cursor.start = offset + start;
  }

  std::string regex_;
  std::unique_ptr<pcre2_code, FreeCode> code_;
  std::size_t look_behind_ = 0;  // bytes
  bool whole_only_ = false;      // a text in pieces is searched when all of it is there
};

class LiteralPattern final : public Pattern {
 public:
  explicit LiteralPattern(std::string text) : text_(std::move(text)) {}

  void find_all(std::string_view text, MatchSink sink) const override {
    Cursor cursor;
    find(text, cursor, false, sink);
  }

  void find(std::string_view text, Cursor& cursor, bool open, MatchSink sink) const override {
    for (std::size_t at = text.find(text_, cursor.start); at != std::string_view::npos;
         at = text.find(text_, cursor.start)) {
      sink(at, at + text_.size());
      cursor.start = at + text_.size();
    }
    if (open && text.size() >= text_.size()) cursor.start = std::max(cursor.start, text.size() - text_.size() + 1);
  }

 private:
  std::string text_;
};

}  // namespace

std::unique_ptr<Pattern> pcre2_pattern(const std::string& regex) { return std::make_unique<Pcre2Pattern>(regex); }

std::unique_ptr<Pattern> literal_pattern(std::string text) {
  if (text.empty()) fail("it is empty; it must hold a character at least");
  return std::make_unique<LiteralPattern>(std::move(text));
}

std::unique_ptr<Pattern> make_pattern(const std::string& regex, std::vector<std::string>& warnings) {
  if (auto pattern = known_pattern(regex)) return pattern;
  if (auto pattern = class_run_pattern(regex)) return pattern;
  warnings.push_back(
      fmt::format("the pre-tokenizer's pattern {} is not one of those known by heart: PCRE2 matches it, whose Unicode "
                  "tables are older than the reference's, so rare new characters may be cut differently",
                  regex));
  return pcre2_pattern(regex);
}

}  // namespace hadal::text
