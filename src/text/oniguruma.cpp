#include "text/oniguruma.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"

namespace hadal::text {

namespace {

constexpr std::string_view kWhite =
    R"(\x{9}-\x{D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
constexpr std::string_view kWord = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";
// Outside of a class Oniguruma has a table of its own up to U+00FF, which counts superscripts and fractions as well.
constexpr std::string_view kWordAlone = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE})";
constexpr std::string_view kHex = "0-9A-Fa-f";

using Names = std::pair<std::string_view, std::string_view>;
// Escapes that are sets: the letter, and what stands for it in a class. The capital letter is the rest.
constexpr std::array kSets = {Names{"s", kWhite}, Names{"w", kWord}, Names{"h", kHex}, Names{"d", R"(\p{Nd})"}};
constexpr std::array kPosix = {Names{"alpha", R"(\p{Alphabetic})"},
                               Names{"digit", R"(\p{Nd})"},
                               Names{"alnum", R"(\p{Alphabetic}\p{Nd})"},
                               Names{"lower", R"(\p{Lowercase})"},
                               Names{"upper", R"(\p{Uppercase})"},
                               Names{"space", kWhite},
                               Names{"word", kWord},
                               Names{"punct", R"(\p{P}\p{S})"},
                               Names{"cntrl", R"(\p{Cc})"},
                               Names{"xdigit", kHex},
                               Names{"blank", R"(\p{Zs}\x{9})"}};
// Properties that are no scripts; the names of Oniguruma without case, spaces, _ and -.
constexpr std::array kProperties = {Names{"any", "Any"},
                                    Names{"alphabetic", "Alphabetic"},
                                    Names{"lowercase", "Lowercase"},
                                    Names{"uppercase", "Uppercase"},
                                    Names{"letter", "L"},
                                    Names{"uppercaseletter", "Lu"},
                                    Names{"lowercaseletter", "Ll"},
                                    Names{"titlecaseletter", "Lt"},
                                    Names{"modifierletter", "Lm"},
                                    Names{"otherletter", "Lo"},
                                    Names{"mark", "M"},
                                    Names{"nonspacingmark", "Mn"},
                                    Names{"spacingmark", "Mc"},
                                    Names{"enclosingmark", "Me"},
                                    Names{"number", "N"},
                                    Names{"decimalnumber", "Nd"},
                                    Names{"letternumber", "Nl"},
                                    Names{"othernumber", "No"},
                                    Names{"punctuation", "P"},
                                    Names{"symbol", "S"},
                                    Names{"separator", "Z"},
                                    Names{"other", "C"}};
constexpr std::string_view kCategories =
    "|c|cc|cf|cn|co|l|ll|lm|lo|lt|lu|m|mc|me|mn|n|nd|nl|no|p|pc|pd|pe|pf|pi|po|ps|"
    "s|sc|sk|sm|so|z|zl|zp|zs|";

std::string_view find(const auto& names, std::string_view name) {
  const auto place = std::find_if(names.begin(), names.end(), [&](const Names& one) { return one.first == name; });
  return place == names.end() ? std::string_view() : place->second;
}

bool is_ascii_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Writer {
 public:
  explicit Writer(std::string_view regex) : regex_(regex) {}

  std::string write() {
    while (!at_end()) {
      const char c = take();
      if (c == '\\') {
        escape();
      } else if (c == '[') {
        char_class();
      } else if (c == '(') {
        open_group();
      } else if (c == ')') {
        close_group();
      } else if (c == '{') {
        interval();
      } else {
        literal(c);
      }
    }
    if (options_.size() > 1) fail("it has a ( without )");
    close_options();
    return std::move(out_);
  }

 private:
  struct Items {
    std::string items;              // of a class
    std::vector<std::string> rest;  // sets whose rest belongs to it
  };

  bool at_end() const { return at_ == regex_.size(); }
  char take() { return regex_[at_++]; }
  bool next_is(std::string_view text) const { return regex_.substr(at_).starts_with(text); }
  [[noreturn]] static void unsupported(const std::string& what) { fail("{} is not supported", what); }

  // Without regard to case Oniguruma takes some pairs of letters for one: ss for U+00DF, fi for U+FB01.
  void literal(char c) {
    const char letters[] = {small(at_ < 2 ? '\0' : regex_[at_ - 2]), small(c), '\0'};
    const bool folds = std::string_view("ss st ff fi fl").find(letters) != std::string_view::npos && letters[0] != ' ';
    if (any_case_ && letters[0] != '\0' && folds) unsupported(fmt::format("{} in any case", letters));
    out_ += c;
  }
  static char small(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

  // Groups. An option without a colon holds for the rest of its group, alternatives included.
  void open_group() {
    options_.push_back(0);
    if (next_is("*")) unsupported("(*");
    out_ += '(';
    if (!next_is("?")) return;
    for (const std::string_view same : {"?:", "?=", "?!", "?>", "?<=", "?<!"}) {
      if (!next_is(same)) continue;
      at_ += same.size();
      out_ += same;
      return;
    }
    if (next_is("?<")) return;  // a name
    if (next_is("?#")) {
      at_ = std::min(regex_.find(')', at_), regex_.size());
      out_ += "?:";
      return;
    }
    ++at_;
    set_options();
  }

  void set_options() {
    std::string set;
    while (!at_end() && std::string_view("im-").find(regex_[at_]) != std::string_view::npos) {
      const char c = take();
      set += c == 'm' ? 's' : c;  // . takes line ends
      any_case_ = any_case_ || c == 'i';
    }
    if (set.empty() || at_end() || (regex_[at_] != ':' && regex_[at_] != ')'))
      unsupported("(?" + set + (at_end() ? "" : std::string(1, regex_[at_])));
    out_ += "?" + set + ":";
    if (take() == ':') return;
    options_.pop_back();
    ++options_.back();
  }

  void close_options() {
    out_.append(options_.back(), ')');
    options_.pop_back();
  }

  void close_group() {
    if (options_.size() == 1) fail("it has a ) without (");
    close_options();
    out_ += ')';
  }

  std::optional<std::string> number() {
    std::string digits;
    while (!at_end() && is_digit(regex_[at_])) digits += take();
    return digits.empty() ? std::nullopt : std::optional(digits);
  }

  // {n}, {n,}, {,m}, {n,m}; anything else is text.
  void interval() {
    const std::size_t begin = at_;
    const std::optional<std::string> low = number();
    const bool comma = next_is(",");
    if (comma) ++at_;
    const std::optional<std::string> high = comma ? number() : low;
    if (!next_is("}") || (!low && !high)) {
      at_ = begin;
      out_ += "\\{";
      return;
    }
    ++at_;
    if (next_is("+") || (!comma && next_is("?"))) unsupported("a quantifier of {" + low.value_or("") + "}");
    out_ += "{" + low.value_or("0") + (comma ? "," + high.value_or("") : "") + "}";
  }

  // Behind a backslash.
  void escape() {
    if (at_end()) fail("it ends in a backslash");
    if (next_is("w") || next_is("W")) {
      out_ += fmt::format("[{}{}]", take() == 'w' ? "" : "^", kWordAlone);
      return;
    }
    Items set;
    if (read_set(set)) {
      out_ += class_of(set, false);
      return;
    }
    const char c = take();
    if (c == 'b' || c == 'B') {
      const std::string word = fmt::format("[{}]", kWordAlone);
      out_ += c == 'b' ? fmt::format("(?:(?<={0})(?!{0})|(?<!{0})(?={0}))", word)
                       : fmt::format("(?:(?<={0})(?={0})|(?<!{0})(?!{0}))", word);
    } else if (c == 'O') {
      out_ += "(?s:.)";
    } else if (c == 'N') {
      out_ += "[^\\x{A}]";
    } else if (c == 'R') {
      out_ += R"((?>\x{D}\x{A}|[\x{A}-\x{D}\x{85}\x{2028}\x{2029}]))";
    } else if (std::string_view("AzZGK").find(c) != std::string_view::npos ||
               (c >= '1' && c <= '9' && (at_end() || !is_digit(regex_[at_])))) {
      out_ += {'\\', c};
    } else {
      character(c, out_);
    }
  }

  // An escape that is one character, in a class or outside.
  void character(char c, std::string& out) {
    if (c == 'v') {
      out += "\\x{B}";
    } else if (c == 'u') {
      out += "\\x{" + hex(4, 4) + "}";
    } else if (c == 'x' && next_is("{")) {
      ++at_;
      out += "\\x{" + hex(1, 8) + "}";
      if (!next_is("}")) unsupported("\\x{ without }");
      ++at_;
    } else if (c == 'x') {
      const std::string digits = hex(1, 2);
      if (digits.size() == 2 && digits[0] >= '8') unsupported("\\x" + digits + ", half a character,");
      out += "\\x{" + digits + "}";
    } else if (std::string_view("tnrfae").find(c) != std::string_view::npos) {
      out += {'\\', c};
    } else if (is_ascii_letter(c) || is_digit(c)) {
      unsupported(std::string("\\") + c);
    } else {
      if (static_cast<unsigned char>(c) < 0x80) out += '\\';
      out += c;
    }
  }

  std::string hex(std::size_t least, std::size_t most) {
    std::string digits;
    while (!at_end() && digits.size() < most && std::isxdigit(static_cast<unsigned char>(regex_[at_])) != 0)
      digits += take();
    if (digits.size() < least) unsupported("a code point of less than " + std::to_string(least) + " digits");
    return digits;
  }

  // At the letter of \s, \W, \p{...}: takes it into the set.
  bool read_set(Items& set) {
    const char c = regex_[at_], letter = small(c);
    if (letter == 'p') {
      ++at_;
      set.items += property(c == 'P');
      return true;
    }
    const std::string_view items = find(kSets, std::string_view(&letter, 1));
    if (items.empty()) return false;
    ++at_;
    if (c == letter) {
      set.items += items;
    } else {
      set.rest.emplace_back(items);
    }
    return true;
  }

  std::string property(bool negated) {
    if (!next_is("{")) unsupported("\\p without {}");
    const std::size_t end = regex_.find('}', at_);
    if (end == std::string_view::npos) fail("it has \\p{{ without }}");
    std::string_view given = regex_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    if (given.starts_with('^')) given.remove_prefix(1), negated = !negated;
    std::string name;
    for (const char c : given) {
      if (c != ' ' && c != '_' && c != '-') name += small(c);
    }
    const std::string letter = negated ? "\\P{" : "\\p{";
    const std::string_view known = find(kProperties, name);
    if (!known.empty()) return letter + std::string(known) + "}";
    if (name.find('|') == std::string::npos && kCategories.find("|" + name + "|") != std::string_view::npos) {
      name[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(name[0])));
      return letter + name + "}";
    }
    const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), is_ascii_letter);
    if (!plain) unsupported("\\p{" + std::string(given) + "}");
    return letter + "sc:" + name + "}";  // PCRE2's own \p{Han} holds characters that are shared with other scripts
  }

  // [items], or with what is not in some set: [items]|[^set].
  static std::string class_of(const Items& set, bool negated) {
    if (set.rest.empty()) return (negated ? "[^" : "[") + set.items + "]";
    if (set.items.empty() && set.rest.size() == 1) return (negated ? "[" : "[^") + set.rest[0] + "]";
    std::string any = set.items.empty() ? "" : "[" + set.items + "]";
    for (const std::string& one : set.rest) any += (any.empty() ? "" : "|") + ("[^" + one + "]");
    return negated ? "(?:(?!" + any + ")(?s:.))" : "(?:" + any + ")";
  }

  void posix(Items& set) {
    const std::size_t end = regex_.find(":]", at_);
    if (end == std::string_view::npos) unsupported("a class in a class");
    std::string_view name = regex_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 2;
    const bool negated = name.starts_with('^');
    if (negated) name.remove_prefix(1);
    const std::string_view items = find(kPosix, name);
    if (items.empty()) unsupported("[:" + std::string(name) + ":]");
    if (negated) {
      set.rest.emplace_back(items);
    } else {
      set.items += items;
    }
  }

  // Behind its [.
  void char_class() {
    const bool negated = next_is("^");
    if (negated) ++at_;
    if (next_is("]")) unsupported("a class that begins with ]");
    Items set;
    bool after_set = false, in_range = false;
    for (bool first = true;; first = false) {
      if (at_end()) fail("it has a [ without ]");
      const char c = take();
      if (c == ']') break;
      const bool posix_here = c == '[' && next_is(":");
      const bool set_here = posix_here || (c == '\\' && !at_end() && is_set_letter(regex_[at_]));
      if (set_here && in_range) unsupported("a range to a set of characters");
      const bool hyphen = c == '-' && !first && !in_range && !next_is("]");
      if (hyphen && after_set) unsupported("a range from a set of characters");
      if (posix_here) {
        posix(set);
      } else if (set_here) {
        read_set(set);
      } else {
        item(c, hyphen, set.items);
      }
      after_set = set_here;
      in_range = hyphen;
    }
    out_ += class_of(set, negated);
  }

  static bool is_set_letter(char c) { return std::string_view("sSwWhHdDpP").find(c) != std::string_view::npos; }

  void item(char c, bool hyphen, std::string& items) {
    if (c == '[') unsupported("a class in a class");
    if (c == '&' && next_is("&")) unsupported("&& in a class");
    if (c == '\\') {
      if (at_end()) fail("it ends in a backslash");
      const char letter = take();
      if (letter == 'b') {
        items += "\\b";
      } else {
        character(letter, items);
      }
    } else {
      if (c == '-' && !hyphen) items += '\\';
      items += c;
    }
  }

  std::string_view regex_;
  std::size_t at_ = 0;
  std::string out_;
  bool any_case_ = false;                   // somewhere
  std::vector<std::size_t> options_ = {0};  // of the whole and each open group: groups that its options have opened
};

}  // namespace

std::string for_pcre2(std::string_view regex) { return Writer(regex).write(); }

}  // namespace hadal::text
