// --json: what a verb found out as one value of JSON on standard output, instead of text. All verbs print it the same
// way: in one line, so that `hadal ... --json >>results.jsonl` collects them.
#pragma once

#include <string>

#include "base/json_fwd.h"
#include "cli/command.h"

namespace hadal::cli {

Option add_json(Command verb, bool& as_json, const std::string& what = "print one JSON object, in one line");

// The line, with its end. A number that is not finite is null; bytes that are no UTF-8 are replaced.
std::string json_line(const json& value);
// To standard output, at once. Throws Error if that cannot be written.
void print_json(const json& value);

}  // namespace hadal::cli
