// A text file as one document, in pieces.
#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "data/document_reader.h"
#include "text/unicode.h"

namespace hadal::data {

namespace {

// Up to where a text may be cut: not inside a character, not between CR and LF.
std::size_t whole_characters(std::string_view text) {
  const char* const end = text.data() + text.size();
  for (std::size_t back = std::min<std::size_t>(3, text.size()); back > 0; --back) {
    bool complete = false;
    if (text::utf8_prefix(end - back, end, complete) == back && !complete) return text.size() - back;
  }
  return text.ends_with('\r') ? text.size() - 1 : text.size();
}

}  // namespace

void DocumentReader::read_text() {
  crlf_ = false;
  std::size_t whole = 0;
  do {
    whole = at_end_ ? buffer_.size() : whole_characters(buffer_);
    take_text(whole);
  } while (more(whole) || !buffer_.empty());
  give({}, true);
  counts_.crlf_files += crlf_;
}

// Gives out the first `whole` bytes of the buffer.
void DocumentReader::take_text(std::size_t whole) {
  text_.clear();
  check_utf8(std::string_view(buffer_).substr(0, whole));
  std::size_t done = 0;
  for (std::size_t at = 0; (at = buffer_.find_first_of(std::string_view("\r\0", 2), done)) < whole; done = at + 1) {
    text_.append(buffer_, done, at - done);
    if (buffer_[at] == '\0') {
      bad(counts_.nul_bytes, fmt::format("{}:{}: a NUL byte in the text", name_, line_at(at)));
    } else if (at + 1 < whole && buffer_[at + 1] == '\n') {
      crlf_ = true;
    } else {
      text_ += '\r';
    }
  }
  text_.append(buffer_, done, whole - done);
  line_ = line_at(whole);
  give(text_, false);
}

std::size_t DocumentReader::line_at(std::size_t place) const {
  const auto begin = buffer_.begin();
  return line_ + static_cast<std::size_t>(std::count(begin, begin + static_cast<std::ptrdiff_t>(place), '\n'));
}

void DocumentReader::check_utf8(std::string_view text) {
  const char *p = text.data(), *const end = p + text.size();
  while (p < end) {
    std::uint64_t eight = 0;
    if (end - p >= 8 && (std::memcpy(&eight, p, 8), (eight & 0x8080808080808080u) == 0)) {
      p += 8;
      continue;
    }
    const text::Decoded c = text::decode_utf8(p, end);
    if (c.code_point == text::kInvalid && counts_.invalid_bytes++ == 0)
      counts_.first_invalid = fmt::format("{}:{}", name_, line_at(static_cast<std::size_t>(p - text.data())));
    p += c.size;
  }
}

}  // namespace hadal::data
