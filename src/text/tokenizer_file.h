// The pre-tokenizer that tokenizers of our own are trained with and written with: DeepSeek-V3's.
#pragma once

#include <array>
#include <string_view>

namespace hadal::text {

inline constexpr std::array<std::string_view, 3> kDeepSeekV3Splits = {
    R"(\p{N}{1,3})", "[一-龥\u3040-ゟ゠-ヿ]+",
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};

}  // namespace hadal::text
