// How the program says what went wrong: one line on stderr, "hadal: error: ...", and a non-zero exit status.
#pragma once

#include <exception>
#include <string>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace hadal::cli {

// Of the command line itself. Help, versions and exit statuses of verbs pass as they are. Returns the exit status, 2
// for a mistake.
int report_usage(const CLI::App& app, const CLI::ParseError& error);

// Ends the verb with this exit status and no line of error: the verb has said all.
[[noreturn]] void end_with(int status);

// Of whatever a verb throws. Returns the exit status, 1.
int report_failure(const std::exception& error);

// One line on stderr, "hadal: warning: ...", escaped and cut as errors are (base/one_line.h).
void warn(const std::string& text);

// The same with "note: ": what the user should know, though nothing is wrong.
void note(const std::string& text);

}  // namespace hadal::cli
