#include <CLI/CLI.hpp>
#include "cli/bench.h"
#include "cli/verbs.h"
namespace hadal::cli {
void add_bench(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("bench", "speed as fractions of this machine's limits");
  verb->require_subcommand(1);
  add_bench_train(*verb);
}
}  // namespace hadal::cli
