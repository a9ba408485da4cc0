#include "cli/json_out.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "base/json.h"

namespace hadal::cli {

Option add_json(Command verb, bool& as_json, const std::string& what) { return verb.add_flag("--json", as_json, what); }

std::string json_line(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"; }

void print_json(const json& value) {
  const std::string line = json_line(value);
  if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size() || std::fflush(stdout) != 0)
    fail("cannot write to standard output: {}", std::strerror(errno));
}

}  // namespace hadal::cli
