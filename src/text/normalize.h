// NFC as the reference tokenizers apply it: characters that its older tables do not know pass through as they are.
#pragma once

#include <string>
#include <string_view>

namespace hadal::text {

// Invalid bytes are kept and normalise nothing across them.
std::string nfc(std::string_view text);

}  // namespace hadal::text
