// The text of one JSON value that is a document: the string under a key of an object.
#pragma once

#include <string>
#include <string_view>

namespace hadal::data {

// Puts the text into `text` and returns what is wrong, in words, or "" if nothing is. All other fields are passed over
// without being kept, so memory is that of the text.
std::string text_of_json(std::string_view value, const std::string& key, std::string& text);

}  // namespace hadal::data
