#include "base/json.h"

#include "base/error.h"
#include "base/file.h"

namespace hadal {

json parse_json(std::string_view text, const std::string& what) {
  try {
    return json::parse(text);
  } catch (const json::parse_error& e) {
    fail("{} is not valid JSON: {} (byte {})", what, e.what(), e.byte);
  }
}

json read_json(const std::filesystem::path& path) { return parse_json(read_file(path), path.string()); }

}  // namespace hadal
