// JSON with errors that name the file and the key. Key order is kept. Include in .cpp files only: it is heavy.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace hadal {

using json = nlohmann::ordered_json;

// What is wrong, without the library's own prefix and number.
std::string reason_of(const nlohmann::json::exception& e);

// Parses `text`; `what` (a path, usually) is named in the Error.
json parse_json(std::string_view text, const std::string& what);
json read_json(const std::filesystem::path& path);

}  // namespace hadal
