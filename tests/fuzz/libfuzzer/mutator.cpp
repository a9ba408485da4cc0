// Mutations that keep a text's structure: half of the inputs that libFuzzer tries come from here, the others from its
// own changes of bytes. A number becomes another one; a value of a list or table is doubled, left out, or replaced by
// another value of the same text; a string is repeated or emptied. What is between brackets is found by their
// characters alone, so that it serves JSON and TOML.
#include <array>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <string_view>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace hadal::fuzz {
namespace {

struct Span {
  std::size_t begin, end;
};

class Mutator {
 public:
  Mutator(std::string_view text, unsigned seed) : text_(text), random_(seed) {}

  // Nothing if the text has no place for the change that was drawn.
  std::optional<std::string> changed() {
    if (text_.empty()) return std::nullopt;
    switch (below(7)) {
      case 0: {
        const std::optional<Span> v = value();
        if (!v) return std::nullopt;
        return with({v->end, v->end}, "," + std::string(text_.substr(v->begin, v->end - v->begin)));
      }
      case 1: {
        const std::optional<Span> v = value();
        if (!v) return std::nullopt;
        return with({v->begin, v->end + (v->end < text_.size() && text_[v->end] == ',' ? 1 : 0)}, "");
      }
      case 2: {
        const std::optional<Span> v = value(), other = value();
        if (!v || !other) return std::nullopt;
        return with(*v, std::string(text_.substr(other->begin, other->end - other->begin)));
      }
      case 3: {
        const std::optional<Span> q = quoted();
        if (!q) return std::nullopt;
        std::string by;
        for (std::size_t times = below(10); times > 0; --times) by += text_.substr(q->begin, q->end - q->begin);
        return with(*q, by);
      }
      default: {
        const std::optional<Span> n = number();
        if (!n) return std::nullopt;
        return with(*n, another(std::string(text_.substr(n->begin, n->end - n->begin))));
      }
    }
  }

 private:
  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_); }

  std::string with(Span span, const std::string& by) const {
    return std::string(text_.substr(0, span.begin)) + by + std::string(text_.substr(span.end));
  }

  // The first place from a random one on where `starts` holds, the text read as a ring.
  template <typename F>
  std::optional<std::size_t> place(F starts) {
    const std::size_t from = below(text_.size());
    for (std::size_t i = 0; i < text_.size(); ++i) {
      const std::size_t at = (from + i) % text_.size();
      if (starts(at)) return at;
    }
    return std::nullopt;
  }

  bool digit(std::size_t at) const { return at < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at])); }

  std::optional<Span> number() {
    const std::optional<std::size_t> at = place([&](std::size_t i) { return digit(i) && (i == 0 || !digit(i - 1)); });
    if (!at) return std::nullopt;
    Span n{*at, *at};
    if (n.begin > 0 && text_[n.begin - 1] == '-') --n.begin;
    while (n.end < text_.size() && (digit(n.end) || std::strchr(".eE_", text_[n.end]) != nullptr)) ++n.end;
    return n;
  }

  std::string another(const std::string& number) {
    static constexpr std::array kNumbers{
        "0",     "1",    "-1",  "2",   "3",     "7",    "8",     "16",         "255",        "256",
        "65536", "-0.0", "0.5", "1.5", "1e-45", "1e38", "1e308", "2147483647", "2147483648", "9223372036854775807"};
    const std::int64_t near = number.size() < 18 ? std::strtoll(number.c_str(), nullptr, 10) : 0;
    switch (below(4)) {
      case 0:
        return std::to_string(near + 1);
      case 1:
        return std::to_string(near - 1);
      case 2:
        return std::to_string(near * 2);
      default:
        return kNumbers[below(kNumbers.size())];
    }
  }

  // What is between two quotation marks: a string, or what is between two strings.
  std::optional<Span> quoted() {
    const std::optional<std::size_t> at = place([&](std::size_t i) { return text_[i] == '"'; });
    if (!at) return std::nullopt;
    return Span{*at + 1, std::min(text_.find('"', *at + 1), text_.size())};
  }

  // What stands after one of the characters [ , : = up to the comma or bracket that ends it.
  std::optional<Span> value() {
    const std::optional<std::size_t> at =
        place([&](std::size_t i) { return std::strchr("[,:=", text_[i]) != nullptr; });
    if (!at || *at + 1 == text_.size()) return std::nullopt;
    Span v{*at + 1, *at + 1};
    int depth = 0;
    bool quoted = false;
    for (; v.end < text_.size(); ++v.end) {
      const char c = text_[v.end];
      if (quoted) {
        if (c == '\\') ++v.end;
        if (c == '"') quoted = false;
        continue;
      }
      if (c == '"') quoted = true;
      if (depth == 0 && (c == ',' || c == ']' || c == '}' || c == '\n')) break;
      if (c == '[' || c == '{') ++depth;
      if (c == ']' || c == '}') --depth;
    }
    v.end = std::min(v.end, text_.size());
    return v;
  }

  std::string_view text_;
  std::minstd_rand random_;
};

}  // namespace
}  // namespace hadal::fuzz

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  if (seed % 2 == 0) return LLVMFuzzerMutate(data, size, max_size);
  const std::optional<std::string> text =
      hadal::fuzz::Mutator({reinterpret_cast<const char*>(data), size}, seed).changed();
  if (!text || text->empty() || text->size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, text->data(), text->size());
  return text->size();
}
