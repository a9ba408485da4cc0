// What someone who knows other trainers may have meant by a name.
#pragma once

#include <string>
#include <string_view>

namespace hadal::train {

// For a name that is a key of a recipe, with its section or without, or stands for one in other trainers: which key is
// meant, and how its value is converted. Empty if none is.
std::string known_key_hint(std::string_view name);

// For an unknown key: that, or the key that is spelled most alike: "did you mean 'lr.peak'?".
std::string hint_for(std::string_view name);

}  // namespace hadal::train
