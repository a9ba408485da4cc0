// The fields of config.json by what they mean to us: which a recipe may set, which no computation depends on, and which
// we do not compute but know the value of that switches them off.
#pragma once

#include <string_view>
#include <vector>

#include "base/json_fwd.h"

namespace hadal::model {

// Written by software about itself (transformers, peft, unsloth, axolotl and the like), or defaults of generation,
// which generation_config.json holds for us: nothing that is computed depends on them, whatever they say.
bool is_software_field(std::string_view name);

// A field of other models, whose feature we do not compute; and whether `value` says that it is off: null, false, 0,
// empty; 1 for a factor. null is off for every field.
bool is_feature(std::string_view name);
bool is_off(std::string_view name, const json& value);

// Fields that a recipe may set as model.NAME, in the order of a file. "rope_scaling" stands for each field in it, too.
const std::vector<std::string_view>& recipe_fields();

}  // namespace hadal::model
