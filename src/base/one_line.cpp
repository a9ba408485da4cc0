#include "base/one_line.h"

#include <fmt/args.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace hadal {

namespace {

struct Character {
  std::uint32_t code = 0;
  std::size_t size = 0;  // in bytes; 0: no valid UTF-8
};

Character first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t head = byte(0);
  if (head < 0x80) return {head, 1};
  const std::size_t size = head >= 0xf0 ? 4 : head >= 0xe0 ? 3 : 2;
  if (head < 0xc2 || head > 0xf4 || text.size() < size) return {};
  std::uint32_t code = head & (0x7fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0u) != 0x80u) return {};
    code = code << 6 | (byte(i) & 0x3fu);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < kLeast[size] || code > 0x10ffff || surrogate) return {};
  return {code, size};
}

// C0, DEL, C1, line and paragraph separators, marks, embeddings and isolates of direction, the byte order mark.
bool is_unprintable(std::uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

bool inside_character(std::string_view text, std::size_t at) {
  return at < text.size() && (static_cast<std::uint8_t>(text[at]) & 0xc0u) == 0x80u;
}

std::string join(std::string_view text, std::size_t head, std::size_t tail) {
  std::size_t begin = text.size() - tail;
  while (head > 0 && inside_character(text, head)) --head;
  while (inside_character(text, begin)) ++begin;
  return fmt::format("{}...{}", text.substr(0, head), text.substr(begin));
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string line;
  line.reserve(text.size());
  while (!text.empty()) {
    const Character c = first_character(text);
    const std::size_t size = std::max<std::size_t>(c.size, 1);
    if (c.size == 0) {
      line += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(text[0]));
    } else if (c.code == '\n' || c.code == '\r' || c.code == '\t') {
      line += c.code == '\n' ? "\\n" : c.code == '\r' ? "\\r" : "\\t";
    } else if (is_unprintable(c.code)) {
      line += c.code < 0x80 ? fmt::format("\\x{:02x}", c.code) : fmt::format("\\u{:04x}", c.code);
    } else {
      line += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  return line;
}

std::string cut(std::string_view text, std::size_t most, double share) {
  if (text.size() <= most) return std::string(text);
  const std::size_t room = most > 3 ? most - 3 : 0;
  const auto head = static_cast<std::size_t>(share * static_cast<double>(room));
  return join(text, head, room - head);
}

std::string cut_path(std::string_view path, std::size_t most) {
  const std::size_t slash = path.rfind('/');
  const std::size_t last = slash == std::string_view::npos ? 0 : path.size() - slash;
  constexpr std::size_t kHead = 16;
  if (path.size() <= most || last <= (most - 3) / 2 || last + 3 + kHead > most) return cut(path, most, 0.5);
  return join(path, most - 3 - last, last);
}

namespace {

// The arguments of a message: strings, which can be cut, and everything else.
struct Arguments {
  using Argument =
      std::variant<std::string, bool, char, long long, unsigned long long, float, double, long double, const void*>;
  std::vector<Argument> all;
  std::vector<bool> is_name;

  explicit Arguments(fmt::format_args args) {
    bool first_string = true;
    for (int i = 0;; ++i) {
      const auto argument = args.get(i);
      if (!argument) break;
      all.push_back(fmt::visit_format_arg([&](const auto& v) { return taken(v, argument); }, argument));
      const auto* text = std::get_if<std::string>(&all.back());
      is_name.push_back(text != nullptr && (first_string || text->find('/') != std::string::npos));
      if (text != nullptr) first_string = false;
    }
  }

  template <class T>
  static Argument taken(const T& v, const fmt::format_args::format_arg& argument) {
    if constexpr (std::is_same_v<T, const char*>) {
      return escaped(v == nullptr ? "(null)" : v);
    } else if constexpr (std::is_same_v<T, fmt::string_view>) {
      return escaped({v.data(), v.size()});
    } else if constexpr (std::is_same_v<T, int>) {
      return static_cast<long long>(v);
    } else if constexpr (std::is_same_v<T, unsigned>) {
      return static_cast<unsigned long long>(v);
    } else if constexpr (std::is_constructible_v<Argument, std::in_place_type_t<T>, const T&>) {
      return Argument(std::in_place_type<T>, v);
    } else {  // 128 bits, and types with a formatter of their own: as they stand by themselves
      return escaped(fmt::vformat("{}", fmt::format_args(&argument, 1)));
    }
  }

  std::string format(fmt::string_view text, std::size_t most_value, std::size_t most_name) const {
    fmt::dynamic_format_arg_store<fmt::format_context> store;
    for (std::size_t i = 0; i < all.size(); ++i) {
      std::visit(
          [&](const auto& v) {
            if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::string>) {
              store.push_back(is_name[i] ? cut_path(v, most_name) : cut(v, most_value));
            } else {
              store.push_back(v);
            }
          },
          all[i]);
    }
    return escaped(fmt::vformat(text, store));
  }
};

// The largest limit from low to high whose text is at most `most` bytes; low if there is none.
template <class F>
std::string largest_that_fits(std::size_t low, std::size_t high, std::size_t most, const F& text) {
  std::string best = text(low);
  while (low < high) {
    const std::size_t middle = (low + high + 1) / 2;
    std::string candidate = text(middle);
    if (candidate.size() <= most) {
      low = middle;
      best = std::move(candidate);
    } else {
      high = middle - 1;
    }
  }
  return best;
}

}  // namespace

std::string vformat_line(std::size_t most, fmt::string_view format, fmt::format_args args) {
  const Arguments arguments(args);
  constexpr std::size_t kLeast = 24, kWhole = static_cast<std::size_t>(-1);
  std::string line = arguments.format(format, kWhole, kWhole);
  if (line.size() <= most) return line;
  line = largest_that_fits(kLeast, most, most, [&](std::size_t n) { return arguments.format(format, n, kWhole); });
  if (line.size() <= most) return line;
  line = largest_that_fits(kLeast, most, most, [&](std::size_t n) { return arguments.format(format, kLeast, n); });
  return cut(line, most);
}

}  // namespace hadal
