// Verbs and their options, as the files of the verbs see them. The library behind them (CLI11) takes seconds to compile
// wherever it is included, so only a few files of cli/ do: tools/check_house.py names them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace hadal::cli {

// What the value of an option may be (cli/options.h has those that are in use).
struct Rule {
  // What is wrong with the value, empty if nothing; it may be written anew, as 1e6 to 1000000.
  std::function<std::string(std::string& value)> problem;
  std::string kind;  // as help names it: "INT"; empty: by the variable's type
};

// An option of a verb, or one of its arguments. A handle: copies mean the same option.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option required(bool yes = true) const;
  Option shows_default() const;      // help tells the variable's value as it is now
  Option rule(const Rule& r) const;  // one an option
  Option one_of(const std::vector<std::string>& values) const;
  Option not_with(Option other) const;
  Option one_value_each() const;            // of a list: --set A --set B, not --set A B
  Option separated_by(char between) const;  // of a list: 1,2,3

 private:
  CLI::Option* option_;
};

// The program or a verb. A handle: copies mean the same verb.
class Command {
 public:
  explicit Command(CLI::App& app) : app_(&app) {}

  Command add_verb(const std::string& name, const std::string& text) const;
  void needs_verb() const;  // one of its own verbs has to follow
  // The names of an option begin with -; a name that does not is that of an argument. T: what the end of command.cpp
  // lists.
  template <class T>
  Option add_option(const std::string& names, T& variable, const std::string& text) const;
  Option add_flag(const std::string& names, bool& variable, const std::string& text) const;
  void add_version_flag(const std::string& names, const std::string& version, const std::string& text) const;
  void footer(const std::string& text) const;  // below the options, where --help prints them
  void callback(const std::function<void()>& run) const;

 private:
  CLI::App* app_;
};

}  // namespace hadal::cli
