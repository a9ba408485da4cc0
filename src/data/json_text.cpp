#include "data/json_text.h"

#include <fmt/format.h>

#include "base/json.h"

namespace hadal::data {

namespace {

// Receives the events of the JSON library's parser.
class TextHandler {
 public:
  TextHandler(const std::string& wanted, std::string& text) : wanted_(wanted), text_(text) {}

  const std::string& error() const { return error_; }
  bool found() const { return found_; }
  bool is_object() const { return object_; }

  bool null() { return value("null"); }
  bool boolean(bool) { return value("true or false"); }
  bool number_integer(json::number_integer_t) { return value("a number"); }
  bool number_unsigned(json::number_unsigned_t) { return value("a number"); }
  bool number_float(json::number_float_t, const std::string&) { return value("a number"); }
  bool binary(json::binary_t&) { return value("binary"); }
  bool string(std::string& s) {
    if (!here_) return depth_ > 0 || value("a string");
    here_ = false;
    found_ = true;
    text_.swap(s);
    return true;
  }
  bool start_object(std::size_t) {
    if (depth_ == 0) object_ = true;
    if (!value("an object")) return false;
    ++depth_;
    return true;
  }
  bool end_object() {
    --depth_;
    return true;
  }
  bool start_array(std::size_t) {
    if (!value("an array")) return false;
    ++depth_;
    return true;
  }
  bool end_array() {
    --depth_;
    return true;
  }
  bool key(std::string& k) {
    here_ = depth_ == 1 && k == wanted_;
    if (!here_ || !found_) return true;
    error_ = fmt::format("the key '{}' is there twice", wanted_);
    return false;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& e) {
    const std::string reason = reason_of(e);
    error_ = fmt::format("not valid JSON at column {}: {}", position, reason.substr(0, reason.find("; last read")));
    return false;
  }

 private:
  // A value that is not a string; false if the text should be here.
  bool value(const char* what) {
    if (!here_) return true;
    error_ = fmt::format("'{}' is {}: it must be a string", wanted_, what);
    return false;
  }

  const std::string& wanted_;
  std::string& text_;
  std::string error_;
  int depth_ = 0;
  bool here_ = false, found_ = false, object_ = false;
};

}  // namespace

std::string text_of_json(std::string_view value, const std::string& key, std::string& text) {
  if (const auto nul = value.find('\0'); nul != std::string_view::npos) {
    return fmt::format("a NUL byte at column {}", nul + 1);  // the parser takes it for the end
  }
  text.clear();
  TextHandler handler(key, text);
  json::sax_parse(value.begin(), value.end(), &handler);
  if (!handler.error().empty()) return handler.error();
  if (!handler.is_object()) return fmt::format("must be a JSON object with a string under the key '{}'", key);
  if (!handler.found()) {
    return fmt::format("has no key '{}': must be a JSON object with a string under it (--json-key names another)", key);
  }
  return {};
}

}  // namespace hadal::data
