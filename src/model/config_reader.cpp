#include "model/config_reader.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/json.h"
#include "model/config_fields.h"

namespace hadal::model {

ConfigReader::ConfigReader(const json& object, std::string where, const std::set<std::string>& set, std::string prefix)
    : object_(object), where_(std::move(where)), set_(set), prefix_(std::move(prefix)) {
  if (!object.is_object()) fail("{}: must be a JSON object", where_);
}

bool ConfigReader::has(const std::string& key) const { return object_.contains(key) && !object_[key].is_null(); }

bool ConfigReader::stated(const std::string& key) const { return object_.contains(key); }  // be it as null

bool ConfigReader::is(const std::string& key, const json& value) const {
  return object_.contains(key) && object_[key] == value;
}

std::int64_t ConfigReader::integer(const std::string& key, std::int64_t low, std::int64_t high) {
  require(key);
  return integer_of(key, object_[key], low, high);
}

std::int64_t ConfigReader::integer_or(const std::string& key, std::int64_t missing, std::int64_t low,
                                      std::int64_t high) {
  return take(key) ? integer_of(key, object_[key], low, high) : missing;
}

double ConfigReader::positive(const std::string& key) {
  require(key);
  return positive_or(key, 0);
}

double ConfigReader::positive_or(const std::string& key, double missing) {
  const double v = number_or(key, missing);
  if (has(key) && v <= 0) wrong(key, "above 0");
  return v;
}

double ConfigReader::number_or(const std::string& key, double missing) {
  if (!take(key)) return missing;
  if (!object_[key].is_number()) wrong(key, "a number");
  const double v = object_[key].get<double>(), size = std::abs(v);
  if (v != 0 && !(size >= std::numeric_limits<float>::min() && size <= std::numeric_limits<float>::max()))
    wrong(key, "a number that f32 holds");
  return v;
}

bool ConfigReader::boolean_or(const std::string& key, bool missing) {
  if (!take(key)) return missing;
  if (!object_[key].is_boolean()) wrong(key, "true or false");
  return object_[key].get<bool>();
}

std::string ConfigReader::string_or(const std::string& key, const std::string& missing) {
  if (!take(key)) return missing;
  if (!object_[key].is_string()) wrong(key, "a string");
  return object_[key].get<std::string>();
}

const json* ConfigReader::object(const std::string& key) {
  if (!take(key)) return nullptr;
  if (!object_[key].is_object()) wrong(key, "an object");
  return &object_[key];
}

std::vector<std::int64_t> ConfigReader::integers(const std::string& key) {
  if (!take(key)) return {};
  if (!object_[key].is_array()) return {integer_of(key, object_[key], 0, kCount)};
  std::vector<std::int64_t> all;
  for (const json& v : object_[key]) all.push_back(integer_of(key, v, 0, kCount));
  return all;
}

void ConfigReader::must_be(const std::string& key, const json& value) {
  if (take(key) && object_[key] != value) wrong(key, value.dump() + " for this model_type");
}

void ConfigReader::wrong(const std::string& key, std::string_view rule) const {
  fail("{} = {}: must be {}", field(key), value_text(key), rule);
}

void ConfigReader::finish() const {
  for (const auto& [key, value] : object_.items()) {
    if (used_.contains(key) || is_off(key, value) || is_software_field(key)) continue;
    if (is_feature(key)) wrong(key, "off (null, false, 0 or empty; 1 for a factor): hadal does not compute it");
    if (set_.contains(prefix_ + key)) fail("{} = {}: this model_type has no such field", field(key), value_text(key));
    fail("{}: unknown field '{}' = {}: hadal does not know what it would change", where_, key, value_text(key));
  }
}

std::string ConfigReader::field(const std::string& key) const {
  return set_.contains(prefix_ + key) ? fmt::format("model.{}{} over {}", prefix_, key, where_)
                                      : fmt::format("{}: field '{}'", where_, key);
}

bool ConfigReader::take(const std::string& key) {
  used_.insert(key);
  return has(key);
}

void ConfigReader::require(const std::string& key) {
  if (!take(key)) fail("{}: field '{}' is missing", where_, key);
}

std::string ConfigReader::value_text(const std::string& key) const {
  if (!object_.contains(key)) return "missing";
  const std::string text = object_[key].dump(-1, ' ', false, json::error_handler_t::replace);
  constexpr std::size_t kShown = 80;
  return text.size() <= kShown ? text : text.substr(0, kShown) + "...";
}

std::int64_t ConfigReader::integer_of(const std::string& key, const json& v, std::int64_t low,
                                      std::int64_t high) const {
  const double d = v.is_number() ? v.get<double>() : std::nan("");
  if (!(d == std::floor(d))) wrong(key, "an integer");
  if (d < static_cast<double>(low) || d > static_cast<double>(high))
    wrong(key, fmt::format("from {} to {}", low, high));
  return static_cast<std::int64_t>(d);
}

}  // namespace hadal::model
