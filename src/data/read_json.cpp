// Documents in JSON: a value per line, or values in an array or one after the other.
#include "base/error.h"
#include "data/document_reader.h"
#include "data/json_text.h"

namespace hadal::data {

namespace {

constexpr std::size_t kMaxValue = std::size_t{1} << 30;  // bytes of one line or value: they are held together

}  // namespace

void DocumentReader::value(std::string_view json, std::size_t line) {
  const std::string what = text_of_json(json, options_.json_key, text_);
  if (what.empty()) return give(text_, true);
  const bool array = file_->form == Form::json_lines && json.starts_with('[');
  bad_value(line, array ? what + " on each line (a file that is one array: --format json)" : what);
}

void DocumentReader::bad_value(std::size_t line, const std::string& what) {
  const char* const hint = file_->form == Form::detect ? " (it begins with {: --format text reads it as text)" : "";
  bad(counts_.bad_values, fmt::format("{}:{}: {}{}", name_, line, what, hint));
}

void DocumentReader::read_lines() {
  std::size_t begin = 0, seen = 0;  // of the line, and from where to look for its end
  bool skip = false;                // the present line is too long
  for (;;) {
    const auto end = buffer_.find('\n', seen);
    if (end != std::string::npos || (at_end_ && begin < buffer_.size())) {
      const std::string_view line = std::string_view(buffer_).substr(begin, end - begin);
      if (!skip && line.find_first_not_of(" \t\r") != std::string_view::npos) value(line, line_);
      skip = false;
      ++line_;
      begin = seen = end == std::string::npos ? buffer_.size() : end + 1;
      continue;
    }
    if (at_end_) return;
    if (!skip && buffer_.size() - begin > kMaxValue) {
      bad_value(line_, "a line of more than 1 GiB");
      skip = true;
    }
    const std::size_t done = skip ? buffer_.size() : begin;
    seen = buffer_.size() - done;
    begin = 0;
    more(done);
  }
}

// Moves `at` to the next character that is no white space; false at the end of the file.
bool DocumentReader::skip_white(std::size_t& at) {
  for (;; ++at) {
    if (at == buffer_.size()) {
      at = 0;
      if (!more(buffer_.size())) return false;
    }
    const char c = buffer_[at];
    line_ += c == '\n';
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') return true;
  }
}

void DocumentReader::read_values() {
  std::size_t at = 0;
  if (!skip_white(at)) return give({}, true);
  const bool array = buffer_[at] == '[';
  if (!array) {
    do {
      if (!one_value(at)) return;
    } while (skip_white(at));
    return;
  }
  const auto cut = [&] { bad_value(line_, "the array has no end"); };
  ++at;
  if (!skip_white(at)) return cut();
  for (bool first = true; !first || buffer_[at] != ']'; first = false) {
    if (!one_value(at)) return;
    if (!skip_white(at)) return cut();
    if (buffer_[at] == ']') break;
    if (buffer_[at] != ',') return bad_value(line_, "a comma or ] must follow; the rest of the file cannot be read");
    ++at;
    if (!skip_white(at)) return cut();
  }
  ++at;
  if (skip_white(at)) bad_value(line_, "more text after the end of the array");
}

// The value that begins at buffer_[at]: only strings and brackets matter for where it ends. `at` moves behind it. False
// if the rest of the file cannot be read.
bool DocumentReader::one_value(std::size_t& at) {
  const std::size_t line = line_;
  if (buffer_[at] != '{' && buffer_[at] != '"' && buffer_[at] != '[') {
    bad_value(line,
              fmt::format("must be a JSON object with a string under the key '{}'; the rest of the file cannot be read",
                          options_.json_key));
    return false;
  }
  std::size_t begin = at, depth = 0;
  bool quoted = false, escaped = false;
  for (;; ++at) {
    if (at == buffer_.size()) {
      at -= begin;
      if (at > kMaxValue || !more(begin)) {
        bad_value(line, at > kMaxValue ? "a value of more than 1 GiB; the rest of the file cannot be read"
                                       : "the value that begins here has no end");
        return false;
      }
      begin = 0;
    }
    const char c = buffer_[at];
    line_ += c == '\n';
    if (escaped) {
      escaped = false;
    } else if (quoted) {
      escaped = c == '\\';
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      --depth;
    }
    if (depth == 0 && !quoted) break;
  }
  ++at;
  value(std::string_view(buffer_).substr(begin, at - begin), line);
  return true;
}

}  // namespace hadal::data
