#include "base/json.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/file.h"

namespace hadal {

std::string reason_of(const nlohmann::detail::exception& e) {
  std::string what = e.what();
  if (const auto end = what.find("] "); what.starts_with("[json.exception.") && end != std::string::npos) {
    what.erase(0, end + 2);
  }
  if (const auto end = what.find(": "); what.starts_with("parse error") && end != std::string::npos) {
    what.erase(0, end + 2);
  }
  return shown(what, 140);
}

namespace {

// Builds the document as the library's parser, which does not recurse, goes through the text.
class Builder final : public nlohmann::json_sax<json> {
 public:
  Builder(std::string_view text, const std::string& what) : text_(text), what_(what) {}

  json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool v) override { return add(v); }
  bool number_integer(number_integer_t v) override { return add(v); }
  bool number_unsigned(number_unsigned_t v) override { return add(v); }
  bool number_float(number_float_t v, const string_t&) override { return add(v); }
  bool string(string_t& v) override { return add(std::move(v)); }
  bool binary(binary_t& v) override { return add(std::move(v)); }
  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    open_.back()->get_ref<json::object_t&>().emplace_back(std::move(name), nullptr);
    return true;
  }

  // An ordered object looks keys up one by one: here they are sorted once.
  bool end_object() override {
    std::vector<std::string_view> keys;
    for (const auto& [name, value] : open_.back()->get_ref<const json::object_t&>()) keys.emplace_back(name);
    std::sort(keys.begin(), keys.end());
    const auto twice = std::adjacent_find(keys.begin(), keys.end());
    if (twice != keys.end()) fail("{}: the key '{}' is there twice in one object", what_, shown(*twice));
    return close();
  }

  bool parse_error(std::size_t position, const std::string& token, const nlohmann::detail::exception& e) override {
    const std::string reason = dynamic_cast<const json::out_of_range*>(&e) != nullptr
                                   ? fmt::format("the number {} is beyond what a double holds", shown(token))
                                   : reason_of(e);
    fail_at(position, reason);
  }

  [[noreturn]] void fail_at(std::size_t position, const std::string& reason) const {
    const std::string path = this->path();
    const std::string_view before = text_.substr(0, position);
    const auto lines = std::count(before.begin(), before.end(), '\n');
    const std::string place = lines == 0 ? fmt::format("byte {}", position) : fmt::format("line {}", lines + 1);
    fail("{} is not valid JSON: {}{} ({})", what_, path.empty() ? "" : fmt::format("in '{}': ", path), reason, place);
  }

 private:
  template <class T>
  json* put(T&& value) {
    if (open_.empty()) {
      root_ = json(std::forward<T>(value));
      return &root_;
    }
    json& outer = *open_.back();
    if (outer.is_array()) {
      auto& array = outer.get_ref<json::array_t&>();
      array.emplace_back(std::forward<T>(value));
      return &array.back();
    }
    json& place = outer.get_ref<json::object_t&>().back().second;
    place = json(std::forward<T>(value));
    return &place;
  }

  template <class T>
  bool add(T&& value) {
    put(std::forward<T>(value));
    return true;
  }

  bool open(json&& empty) {
    if (open_.size() == kMaxJsonDepth) {
      fail("{}: field '{}': arrays and objects are nested more than {} deep", what_, shown(path()), kMaxJsonDepth);
    }
    open_.push_back(put(std::move(empty)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  // Where the parser stands: a.b[3]
  std::string path() const {
    std::string path;
    for (const json* outer : open_) {
      if (path.size() > 200) break;
      if (outer->is_array()) {
        path += fmt::format("[{}]", outer->size() - (outer == open_.back() ? 0 : 1));
      } else if (!outer->empty()) {
        path += (path.empty() ? "" : ".") + outer->get_ref<const json::object_t&>().back().first;
      }
    }
    return shown(path);
  }

  std::string_view text_;
  const std::string& what_;
  json root_;
  std::vector<json*> open_;  // a container does not grow while one inside it is open: the pointers stay valid
};

// A value for a message: long ones by their size.
std::string shown_value(const json& v) {
  if (v.is_array() && v.size() > 8) return fmt::format("an array of {}", v.size());
  if (v.is_object() && v.size() > 4) return fmt::format("an object of {} keys", v.size());
  return shown(v.dump(-1, ' ', false, json::error_handler_t::replace));
}

}  // namespace

json parse_json(std::string_view text, const std::string& what) {
  Builder builder(text, what);
  // The library takes a NUL byte for the end of the text.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    builder.fail_at(nul, "a NUL byte");
  }
  json::sax_parse(text, &builder);
  return builder.take();
}

json read_json(const std::filesystem::path& path) { return parse_json(read_whole_file(path), path.string()); }

void JsonField::wrong(std::string_view rule) const {
  if (path_.empty()) fail("{}: is {}: must be {}", file_, shown_value(*value_), rule);
  fail("{}: field '{}' = {}: must be {}", file_, shown(path_), shown_value(*value_), rule);
}

std::optional<JsonField> JsonField::find(std::string_view key) const {
  if (!value_->is_object()) wrong("an object");
  for (const auto& [name, value] : value_->get_ref<const json::object_t&>()) {
    if (name != key) continue;
    if (value.is_null()) return std::nullopt;
    return at(key);
  }
  return std::nullopt;
}

JsonField JsonField::at(std::string_view key) const {
  if (!value_->is_object()) wrong("an object");
  std::string path = (path_.empty() ? "" : path_ + ".") + std::string(key);
  for (const auto& [name, value] : value_->get_ref<const json::object_t&>()) {
    if (name == key) return {value, file_, std::move(path)};
  }
  fail("{}: field '{}' is missing", file_, shown(path));
}

std::vector<std::pair<std::string, JsonField>> JsonField::members() const {
  if (!value_->is_object()) wrong("an object");
  std::vector<std::pair<std::string, JsonField>> all;
  for (const auto& [name, value] : value_->get_ref<const json::object_t&>()) {
    all.emplace_back(name, JsonField(value, file_, (path_.empty() ? "" : path_ + ".") + name));
  }
  return all;
}

JsonField JsonField::item(std::size_t i) const { return {(*value_)[i], file_, fmt::format("{}[{}]", path_, i)}; }

std::vector<JsonField> JsonField::items() const {
  if (!value_->is_array()) wrong("an array");
  std::vector<JsonField> all;
  for (std::size_t i = 0; i < value_->size(); ++i) all.push_back(item(i));
  return all;
}

std::vector<std::int64_t> JsonField::integers(std::int64_t low, std::int64_t high) const {
  if (!value_->is_array()) wrong("an array of integers");
  std::vector<std::int64_t> all;
  all.reserve(value_->size());
  for (std::size_t i = 0; i < value_->size(); ++i) {
    const json& v = (*value_)[i];
    const bool plain = v.is_number_integer() && !v.is_number_unsigned();  // below 0
    const bool small = v.is_number_unsigned() && v.get<std::uint64_t>() <= static_cast<std::uint64_t>(kMost);
    const std::int64_t n = plain || small ? v.get<std::int64_t>() : 0;
    all.push_back((plain || small) && n >= low && n <= high ? n : item(i).integer(low, high));
  }
  return all;
}

std::vector<double> JsonField::numbers() const {
  if (!value_->is_array()) wrong("an array of numbers");
  std::vector<double> all;
  all.reserve(value_->size());
  for (std::size_t i = 0; i < value_->size(); ++i) {
    const json& v = (*value_)[i];
    all.push_back(v.is_number() ? v.get<double>() : item(i).number_or_nan());
  }
  return all;
}

std::int64_t JsonField::integer(std::int64_t low, std::int64_t high) const {
  const std::string rule = low == kLeast   ? "an integer"
                           : high == kMost ? fmt::format("an integer, {} or more", low)
                                           : fmt::format("an integer from {} to {}", low, high);
  const json& v = *value_;
  std::int64_t n = 0;
  if (v.is_number_unsigned()) {
    if (v.get<std::uint64_t>() > static_cast<std::uint64_t>(kMost)) wrong(rule);
    n = v.get<std::int64_t>();
  } else if (v.is_number_integer()) {
    n = v.get<std::int64_t>();
  } else {
    const double d = v.is_number_float() ? v.get<double>() : std::nan("");
    if (!(std::abs(d) <= 0x1p53) || d != std::floor(d)) wrong(rule);
    n = static_cast<std::int64_t>(d);
  }
  if (n < low || n > high) wrong(rule);
  return n;
}

std::uint64_t JsonField::unsigned_integer() const {
  if (!value_->is_number_unsigned()) wrong("an integer from 0 to 2^64 - 1");
  return value_->get<std::uint64_t>();
}

double JsonField::number() const {
  if (!value_->is_number()) wrong("a number");
  return value_->get<double>();
}

double JsonField::number_or_nan() const {
  if (!value_->is_number() && !value_->is_null()) wrong("a number, or null");
  return value_->is_null() ? std::nan("") : value_->get<double>();
}

bool JsonField::boolean() const {
  if (!value_->is_boolean()) wrong("true or false");
  return value_->get<bool>();
}

const std::string& JsonField::string() const {
  if (!value_->is_string()) wrong("a string");
  return value_->get_ref<const std::string&>();
}

}  // namespace hadal
