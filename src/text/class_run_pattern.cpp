#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "text/pattern.h"
#include "text/scan.h"

namespace hadal::text {

namespace {

// A character class: ranges and categories, or all but these.
struct CharSet {
  std::vector<std::pair<char32_t, char32_t>> ranges;
  ClassSet kinds;
  bool negated = false;

  bool has(const Scanned& c) const {
    bool found = kinds.has(c.kind);
    if (!found) {
      const auto after = std::upper_bound(ranges.begin(), ranges.end(), c.code_point,
                                          [](char32_t value, const auto& range) { return value < range.first; });
      found = after != ranges.begin() && c.code_point <= std::prev(after)->second;
    }
    return found != negated;
  }

  void finish() {
    std::sort(ranges.begin(), ranges.end());
    std::vector<std::pair<char32_t, char32_t>> merged;
    for (const auto& range : ranges) {
      if (!merged.empty() && range.first <= merged.back().second) {
        merged.back().second = std::max(merged.back().second, range.second);
      } else {
        merged.push_back(range);
      }
    }
    ranges = std::move(merged);
  }
};

class ClassRun final : public Pattern {
 public:
  ClassRun(CharSet set, std::size_t least, std::size_t most, bool white_first)
      : set_(std::move(set)), least_(least), most_(most), white_first_(white_first) {
    for (unsigned c = 0; c < 128; ++c) {
      const char byte = static_cast<char>(c);
      ascii_[c] = set_.has(scan(&byte, &byte + 1));
    }
  }

  void find_all(std::string_view text, MatchSink sink) const override {
    Cursor cursor;
    find(text, cursor, false, sink);
  }

  void find(std::string_view text, Cursor& cursor, bool open, MatchSink sink) const override {
    const char* const begin = text.data();
    const char* const end = begin + text.size();
    const char* p = begin + cursor.start;
    while (p < end) {
      const char* seen = p;
      const char* q = match(p, end, seen);
      if (open && end - seen < kLongestChar) break;  // the character that ended the run may be cut off, or none at all
      if (q > p) sink(static_cast<std::size_t>(p - begin), static_cast<std::size_t>(q - begin));
      p = q > p ? q : p + scan(p, end).size;
    }
    cursor.start = static_cast<std::size_t>(p - begin);
  }

 private:
  static constexpr std::ptrdiff_t kLongestChar = 4;

  // `seen`: the furthest character that was looked at.
  const char* match(const char* p, const char* end, const char*& seen) const {
    if (white_first_) {
      const Scanned c = scan(p, end);
      if (c.kind == CharClass::white) {
        const char* q = run(p + c.size, end, seen);
        if (q > p + c.size) return q;
      }
    }
    return run(p, end, seen);
  }

  const char* run(const char* p, const char* end, const char*& seen) const {
    const char* q = p;
    std::size_t count = 0;
    for (; count < most_ && q < end; ++count) {
      const auto byte = static_cast<std::uint8_t>(*q);
      if (byte < 0x80) {
        if (!ascii_[byte]) break;
        ++q;
        continue;
      }
      const Scanned c = scan(q, end);
      if (!set_.has(c)) break;
      q += c.size;
    }
    seen = std::max(seen, q);
    return count >= least_ ? q : p;
  }

  CharSet set_;
  bool ascii_[128];
  std::size_t least_, most_;
  bool white_first_;
};

// Reads the little language of class_run_pattern(); every function returns false on what it does not know.
class Reader {
 public:
  explicit Reader(std::string_view text) : p_(text.data()), end_(text.data() + text.size()) {}

  std::unique_ptr<Pattern> read() {
    const bool white_first = take("\\s?");
    CharSet set;
    std::size_t least = 1, most = 1;
    if (!read_set(set) || !read_quantifier(least, most) || p_ != end_) return nullptr;
    set.finish();
    return std::make_unique<ClassRun>(std::move(set), least, most, white_first);
  }

 private:
  bool take(std::string_view text) {
    if (!std::string_view(p_, static_cast<std::size_t>(end_ - p_)).starts_with(text)) return false;
    p_ += text.size();
    return true;
  }

  bool read_set(CharSet& set) {
    if (!take("[")) return read_category(set);
    set.negated = take("^");
    if (take("]")) return false;
    while (!take("]")) {
      if (p_ == end_) return false;
      if (read_category(set)) continue;
      const std::optional<char32_t> first = read_char();
      if (!first) return false;
      std::optional<char32_t> last = first;
      if (end_ - p_ >= 2 && p_[0] == '-' && p_[1] != ']') {
        ++p_;
        last = read_char();
        if (!last || *last < *first) return false;
      }
      set.ranges.emplace_back(*first, *last);
    }
    return true;
  }

  bool read_category(CharSet& set) {
    constexpr std::pair<std::string_view, CharClass> kCategories[] = {
        {"\\p{L}", CharClass::letter},      {"\\p{M}", CharClass::mark},   {"\\p{N}", CharClass::number},
        {"\\p{P}", CharClass::punctuation}, {"\\p{S}", CharClass::symbol}, {"\\s", CharClass::white}};
    for (const auto& [name, kind] : kCategories) {
      if (!take(name)) continue;
      set.kinds.add(kind);
      return true;
    }
    return false;
  }

  std::optional<char32_t> read_char() {
    if (p_ == end_) return std::nullopt;
    if (*p_ == '\\') {
      if (++p_ == end_) return std::nullopt;
      const char c = *p_++;
      if (c == 'r') return U'\r';
      if (c == 'n') return U'\n';
      if (c == 't') return U'\t';
      const bool letter_or_digit = detail::kAsciiClasses[c & 0x7F] == CharClass::letter || (c >= '0' && c <= '9');
      if ((c & 0x80) != 0 || letter_or_digit) return std::nullopt;
      return static_cast<char32_t>(c);
    }
    // '[' opens a nested class and && intersects in the reference's engine.
    if (*p_ == '[' || *p_ == '&') return std::nullopt;
    const Decoded c = decode_utf8(p_, end_);
    if (c.code_point == kInvalid) return std::nullopt;
    p_ += c.size;
    return c.code_point;
  }

  bool read_quantifier(std::size_t& least, std::size_t& most) {
    if (p_ == end_) return true;
    if (take("+")) {
      most = ~std::size_t{0};
      return true;
    }
    if (!take("{")) return false;
    const auto number = [&](std::size_t& value) {
      const auto [rest, error] = std::from_chars(p_, end_, value);
      p_ = rest;
      return error == std::errc{};
    };
    return number(least) && take(",") && number(most) && take("}") && least >= 1 && least <= most;
  }

  const char* p_;
  const char* end_;
};

}  // namespace

std::unique_ptr<Pattern> class_run_pattern(std::string_view regex) { return Reader(regex).read(); }

}  // namespace hadal::text
