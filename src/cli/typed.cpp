#include "cli/typed.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "text/unicode.h"

namespace hadal::cli {

namespace {

void require_utf8(std::string_view text, const std::string& source) {
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
    fail("{}: the text is UTF-16: save it as UTF-8", source);
  const char *p = text.data(), *end = p + text.size();
  for (std::size_t line = 1; p < end;) {
    const text::Decoded c = text::decode_utf8(p, end);
    if (c.code_point == text::kInvalid) {
      fail("{}: line {}: byte {} (0x{:02x}) is not UTF-8: save the text as UTF-8", source, line, p - text.data() + 1,
           static_cast<unsigned char>(*p));
    }
    line += *p == '\n' ? 1 : 0;
    p += c.size;
  }
}

}  // namespace

std::string clean_text(std::string_view text, const std::string& source) {
  require_utf8(text, source);
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::string clean;
  clean.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') {
      clean += text[i];
    } else if (i + 1 == text.size() || text[i + 1] != '\n') {
      clean += '\n';
    }
  }
  return clean;
}

std::string read_standard_input() {
  std::string content;
  char buffer[1 << 16];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, stdin)) content.append(buffer, n);
  if (std::ferror(stdin) != 0) fail("cannot read standard input: {}", std::strerror(errno));
  return content;
}

std::string read_prompt(const fs::path& path) {
  const bool piped = path == "-";
  std::string text =
      clean_text(piped ? read_standard_input() : read_file(path), piped ? "standard input" : path.string());
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace hadal::cli
