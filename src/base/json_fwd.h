// The name of the JSON type alone, for headers: light.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace hadal {

using json = nlohmann::ordered_json;

}  // namespace hadal
