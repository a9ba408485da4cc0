#include "text/template_text.h"

#include <charconv>

#include "text/unicode.h"

namespace hadal::text {

namespace {

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::vector<std::string> read() {
    std::string plain;
    while (at_ < text_.size()) {
      const std::string_view two = text_.substr(at_, 2);
      if (two == "{#") {
        const std::size_t end = text_.find("#}", at_ + 2);
        at_ = end == std::string_view::npos ? text_.size() : end + 2;
      } else if (two == "{{" || two == "{%") {
        at_ += 2;
        give(plain);
        read_code(two == "{{" ? "}}" : "%}");
      } else {
        plain += text_[at_++];
      }
    }
    give(plain);
    return std::move(texts_);
  }

 private:
  void give(std::string& text) {
    if (!text.empty()) texts_.push_back(std::move(text));
    text.clear();
  }

  void read_code(std::string_view close) {
    while (at_ < text_.size()) {
      if (text_.substr(at_, 2) == close) {
        at_ += 2;
        return;
      }
      const char c = text_[at_++];
      if (c == '"' || c == '\'') read_literal(c);
    }
  }

  void read_literal(char quote) {
    std::string literal;
    while (at_ < text_.size() && text_[at_] != quote) {
      const char c = text_[at_++];
      if (c == '\\' && at_ < text_.size()) {
        read_escape(literal);
      } else {
        literal += c;
      }
    }
    ++at_;
    give(literal);
  }

  void read_escape(std::string& literal) {
    const char c = text_[at_++];
    switch (c) {
      case 'n':
        literal += '\n';
        break;
      case 'r':
        literal += '\r';
        break;
      case 't':
        literal += '\t';
        break;
      case 'x':
        read_code_point(literal, 2);
        break;
      case 'u':
        read_code_point(literal, 4);
        break;
      case 'U':
        read_code_point(literal, 8);
        break;
      default:
        literal += c;
    }
  }

  void read_code_point(std::string& literal, std::size_t digits) {
    const std::string_view hex = text_.substr(at_, digits);
    std::uint32_t value = 0;
    const auto [rest, error] = std::from_chars(hex.data(), hex.data() + hex.size(), value, 16);
    if (error != std::errc{} || rest != hex.data() + digits || value > 0x10FFFF) return;
    append_utf8(literal, value);
    at_ += digits;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<std::string> texts_;
};

}  // namespace

std::vector<std::string> template_texts(std::string_view chat_template) { return Scanner(chat_template).read(); }

}  // namespace hadal::text
