#include <CLI/CLI.hpp>

#include <cstdio>

#include "cli/verbs.h"

namespace hadal::cli {

void add_version(CLI::App& app) { app.set_version_flag("--version", "hadal 0.1.0"); }

}  // namespace hadal::cli
