// A JSON object that is read field by field, each checked in type and range and remembered, so that what nobody asked
// for can be named in the end.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.h"

namespace hadal::model {

constexpr std::int64_t kLayers = 1024, kExperts = 4096, kHead = 1 << 16, kWidth = 1 << 20,
                       kCount = 1 << 24;  // so that no product of two or three overflows

class ConfigReader {
 public:
  // where: the file, for messages; set: names of the fields that a recipe has set over it ("rope_scaling.factor").
  // prefix: of this object's fields in `set`. All must outlive the reader.
  ConfigReader(const json& object, std::string where, const std::set<std::string>& set, std::string prefix = "");
  bool has(const std::string& key) const;     // there and not null
  bool stated(const std::string& key) const;  // be it as null
  bool is(const std::string& key, const json& value) const;

  // A whole number from low to high, written as an integer or as a float.
  std::int64_t integer(const std::string& key, std::int64_t low, std::int64_t high);
  std::int64_t integer_or(const std::string& key, std::int64_t missing, std::int64_t low, std::int64_t high);
  // These are computed with in f32.
  double positive(const std::string& key);
  double positive_or(const std::string& key, double missing);
  double number_or(const std::string& key, double missing);
  bool boolean_or(const std::string& key, bool missing);
  std::string string_or(const std::string& key, const std::string& missing);
  const json* object(const std::string& key);                  // null if it is not there
  std::vector<std::int64_t> integers(const std::string& key);  // one integer or a list of them
  void must_be(const std::string& key, const json& value);
  void ignore(const std::set<std::string>& keys) { used_.insert(keys.begin(), keys.end()); }
  // Throws Error for a field that was not asked for and is neither null, nor software's, nor known to be off.
  void finish() const;

  [[noreturn]] void wrong(const std::string& key, std::string_view rule) const;
  // The field for a message: where it stands and its name.
  std::string field(const std::string& key) const;
  const std::string& where() const { return where_; }
  const std::set<std::string>& set() const { return set_; }

 private:
  bool take(const std::string& key);
  void require(const std::string& key);
  std::string value_text(const std::string& key) const;
  std::int64_t integer_of(const std::string& key, const json& v, std::int64_t low, std::int64_t high) const;

  const json& object_;
  std::string where_;
  const std::set<std::string>& set_;
  std::string prefix_;
  std::set<std::string> used_;
};

}  // namespace hadal::model
