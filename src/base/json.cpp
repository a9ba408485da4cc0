#include "base/json.h"

#include "base/error.h"
#include "base/file.h"

namespace hadal {

std::string reason_of(const nlohmann::json::exception& e) {
  const std::string what = e.what();
  const auto end = what.starts_with("[json.exception.") ? what.find("] ") : std::string::npos;
  return end == std::string::npos ? what : what.substr(end + 2);
}

json parse_json(std::string_view text, const std::string& what) {
  try {
    return json::parse(text);
  } catch (const json::parse_error& e) {
    fail("{} is not valid JSON: {} (byte {})", what, reason_of(e), e.byte);
  } catch (const json::exception& e) {  // a number that no double holds
    fail("{} is not valid JSON: {}", what, reason_of(e));
  }
}

json read_json(const std::filesystem::path& path) { return parse_json(read_file(path), path.string()); }

}  // namespace hadal
