// JSON with errors that name the file and the field. Every file and line of JSON that the program reads comes through
// parse_json, and every value through JsonField. Key order is kept. Include in .cpp files only: it is heavy.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hadal {

using json = nlohmann::ordered_json;

// Arrays and objects in each other. What is read may be copied, printed and freed by recursion.
inline constexpr std::size_t kMaxJsonDepth = 500;

// What the library says is wrong, without its own prefix, number and place.
std::string reason_of(const nlohmann::detail::exception& e);

// Parses `text`; `what` (a path, or PATH:LINE) is named in the Error. Refused beside what is no JSON: more than
// kMaxJsonDepth levels, NUL bytes and invalid UTF-8, numbers that no double holds (1e999), and a key that an object has
// twice: readers disagree about which one counts, so neither does. Takes linear time.
json parse_json(std::string_view text, const std::string& what);
json read_json(const std::filesystem::path& path);

// A value and where it stands. Each access checks the type and the range; the Error says
// "FILE: field 'a.b[3]' = VALUE: must be ...". Holds a reference: the document must outlive it.
class JsonField {
 public:
  static constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  static constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

  JsonField(const json& document, std::string file) : value_(&document), file_(std::move(file)) {}

  // Of an object. `find` is empty for a key that is absent or null; `at` wants it there, be it as null.
  std::optional<JsonField> find(std::string_view key) const;
  JsonField at(std::string_view key) const;
  std::vector<std::pair<std::string, JsonField>> members() const;
  // Of an array.
  std::vector<JsonField> items() const;
  std::vector<std::int64_t> integers(std::int64_t low = kLeast, std::int64_t high = kMost) const;
  std::vector<double> numbers() const;  // null is NaN: JSON has no other way to write it

  std::int64_t integer(std::int64_t low = kLeast, std::int64_t high = kMost) const;  // 3 or 3.0
  std::uint64_t unsigned_integer() const;                                            // any of 64 bits
  double number() const;
  double number_or_nan() const;  // null is NaN
  bool boolean() const;
  const std::string& string() const;

  const json& value() const { return *value_; }
  const std::string& file() const { return file_; }
  [[noreturn]] void wrong(std::string_view rule) const;  // "must be RULE"

 private:
  JsonField(const json& value, std::string file, std::string path)
      : value_(&value), file_(std::move(file)), path_(std::move(path)) {}
  JsonField item(std::size_t i) const;
  const json* value_;
  std::string file_, path_;
};

}  // namespace hadal
