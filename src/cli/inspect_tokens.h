// What `hadal inspect DIR` says of a tokenizer: which special, added and stop token comes from which file.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace hadal::cli {

struct TokenReport {
  std::string text;  // lines for a reader, the first one empty
  std::string json;  // an object
  bool alone;        // the folder has no config.json: there is no model to speak of
};

// Nothing for what is no folder with a tokenizer.json.
std::optional<TokenReport> report_tokens(const std::filesystem::path& folder);

}  // namespace hadal::cli
