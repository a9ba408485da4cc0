#include "cli/failure.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include <cstdio>
#include <filesystem>
#include <new>
#include <string>
#include <system_error>

#include "base/one_line.h"

namespace hadal::cli {

namespace {

void print(const std::string& text) { fmt::print(stderr, "hadal: error: {}\n", cut(escaped(text), kMaxMessage)); }

std::string names_of(const CLI::App& app) {
  std::string names;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    names += (names.empty() ? "" : ", ") + verb->get_name();
  }
  return names;
}

}  // namespace

void warn(const std::string& text) { fmt::print(stderr, "hadal: warning: {}\n", cut(escaped(text), kMaxMessage)); }

void note(const std::string& text) { fmt::print(stderr, "note: {}\n", cut(escaped(text), kMaxMessage)); }

int report_usage(const CLI::App& app, const CLI::ParseError& error) {
  const bool mistake = error.get_exit_code() != 0 && error.get_name() != "RuntimeError";
  if (!mistake) return app.exit(error);
  // The verb that was reached, and its words: "hadal data prepare".
  const CLI::App* verb = &app;
  std::string words = "hadal";
  while (!verb->get_subcommands().empty()) {
    verb = verb->get_subcommands().front();
    words += " " + verb->get_name();
  }
  const bool needs_verb = !verb->get_subcommands([](const CLI::App*) { return true; }).empty();
  if (!needs_verb) {
    print(format_line("{}: {} ({} --help tells more)", words, error.what(), words));
    return 2;
  }
  const std::vector<std::string> rest = app.remaining(true);
  const std::string what = rest.empty() ? "a verb is needed" : fmt::format("unknown verb '{}'", shown(rest.front()));
  print(format_line("{}: {}: there are {}", words, what, names_of(*verb)));
  return 2;
}

int report_failure(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    print("out of memory: this needs more than the machine gives");
  } else if (const auto* file = dynamic_cast<const std::filesystem::filesystem_error*>(&error)) {
    print(format_line("{}: {}", file->path1().string(), file->code().message()));
  } else {
    print(error.what());
  }
  return 1;
}

}  // namespace hadal::cli
