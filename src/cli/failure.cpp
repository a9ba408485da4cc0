#include "cli/failure.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include <cstdio>
#include <filesystem>
#include <new>
#include <string>
#include <string_view>
#include <system_error>

#include "base/one_line.h"
#include "base/terminal.h"
#include "base/wrap.h"
#include "cli/suggest.h"

namespace hadal::cli {

namespace {

void print(const std::string& text) { fmt::print(stderr, "hadal: error: {}\n", cut(escaped(text), kMaxMessage)); }

// "are train, encode, decode", "is show"
std::string names_of(const CLI::App& app) {
  std::string names;
  const auto verbs = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* verb : verbs) names += (names.empty() ? "" : ", ") + verb->get_name();
  return (verbs.size() == 1 ? "is " : "are ") + names;
}

// What the library says, in our words where its own are about its types.
std::string plain_words(const CLI::ParseError& error) {
  const std::string text = error.what();
  const auto is = [&](CLI::ExitCodes code) { return error.get_exit_code() == static_cast<int>(code); };
  if (const auto colon = text.find(": "); is(CLI::ExitCodes::ArgumentMismatch) && text.ends_with(" missing"))
    return text.substr(0, colon) + " needs a value";
  constexpr std::string_view kExcludes = " excludes ";
  if (const auto at = text.find(kExcludes); is(CLI::ExitCodes::ExcludesError) && at != std::string::npos)
    return text.substr(0, at) + " and " + text.substr(at + kExcludes.size()) + " cannot both be given";
  return text;
}

// What is missing may have been taken as the value of --set.
std::string swallowed_by_set(const CLI::App& verb) {
  const CLI::Option* set = verb.get_option_no_throw("--set");
  if (set == nullptr) return "";
  for (const std::string& value : set->results()) {
    if (value.find('=') == std::string::npos) return fmt::format("; --set took '{}' for its KEY=VALUE", shown(value));
  }
  return "";
}

// One line in a log; on a terminal it is broken between words.
void tell(const std::string& kind, const std::string& text) {
  const std::string line = kind + cut(escaped(text), kMaxMessage);
  fmt::print(stderr, "{}\n", can_redraw(stderr) ? wrapped(line, terminal_size(stderr).columns - 1, 0, 2) : line);
}

}  // namespace

void warn(const std::string& text) { tell("hadal: warning: ", text); }

void note(const std::string& text) { tell("note: ", text); }

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
  const std::vector<std::string> rest = app.remaining(true);
  const auto is = [&](CLI::ExitCodes code) { return error.get_exit_code() == static_cast<int>(code); };
  // What is missing may be what could not be used: --output for --out.
  if (!needs_verb && !rest.empty() && (is(CLI::ExitCodes::ExtrasError) || is(CLI::ExitCodes::RequiredError))) {
    const std::string hint = suggested_option(*verb, rest.front());
    print(format_line("{}: {} '{}'{}{} ({} --help tells more)", words,
                      rest.front().starts_with('-') ? "unknown option" : "one argument too many:", shown(rest.front()),
                      hint.empty() ? "" : "; ", hint, words));
    return 2;
  }
  if (!needs_verb) {
    const std::string swallowed = is(CLI::ExitCodes::RequiredError) ? swallowed_by_set(*verb) : "";
    print(format_line("{}: {}{} ({} --help tells more)", words, plain_words(error), swallowed, words));
    return 2;
  }
  if (rest.empty()) {
    print(format_line("{}: a verb is needed: there {}", words, names_of(*verb)));
    return 2;
  }
  const bool option = rest.front().starts_with('-');
  const std::string hint = option ? suggested_option(*verb, rest.front()) : suggested_verb(*verb, rest.front());
  print(format_line("{}: unknown {} '{}'{}: {} {}", words, option ? "option" : "verb", shown(rest.front()),
                    hint.empty() ? "" : "; " + hint, option ? "a verb is needed, there" : "there", names_of(*verb)));
  return 2;
}

void end_with(int status) { throw CLI::RuntimeError(status); }

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
