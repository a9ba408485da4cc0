// Which added tokens steer a model: the definition of the Hugging Face library's sanitize_control_tokens.
#pragma once

#include <filesystem>
#include <vector>

#include "text/added_tokens.h"

namespace hadal::text {

// Sets `control` of the tokens that are special or that a chat template in `folder` spells. Throws Error for a broken
// tokenizer_config.json.
void mark_control_tokens(const std::filesystem::path& folder, std::vector<AddedToken>& added);

}  // namespace hadal::text
