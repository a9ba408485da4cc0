// What a chat template can print word for word: its own text and its string literals, comments and names left out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hadal::text {

// Stretches of text of a Jinja template, in order; escapes of string literals are resolved. A template that is cut off
// in the middle gives what it has up to there.
std::vector<std::string> template_texts(std::string_view chat_template);

}  // namespace hadal::text
