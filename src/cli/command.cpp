#include "cli/command.h"

#include <CLI/CLI.hpp>

#include <optional>

namespace hadal::cli {

Option Option::required(bool yes) const {
  option_->required(yes);
  return *this;
}

Option Option::shows_default() const {
  option_->capture_default_str();
  return *this;
}

Option Option::rule(const Rule& r) const {
  option_->transform(CLI::Validator(r.problem, r.kind));
  return *this;
}

Option Option::one_of(const std::vector<std::string>& values) const {
  option_->check(CLI::IsMember(values));
  return *this;
}

Option Option::not_with(Option other) const {
  option_->excludes(other.option_);
  return *this;
}

Option Option::one_value_each() const {
  option_->allow_extra_args(false);
  return *this;
}

Option Option::separated_by(char between) const {
  option_->delimiter(between);
  return *this;
}

Command Command::add_verb(const std::string& name, const std::string& text) const {
  return Command(*app_->add_subcommand(name, text));
}

void Command::needs_verb() const { app_->require_subcommand(1); }

template <class T>
Option Command::add_option(const std::string& names, T& variable, const std::string& text) const {
  return Option(app_->add_option(names, variable, text));
}

Option Command::add_flag(const std::string& names, bool& variable, const std::string& text) const {
  return Option(app_->add_flag(names, variable, text));
}

void Command::add_version_flag(const std::string& names, const std::string& version, const std::string& text) const {
  app_->set_version_flag(names, version, text);
}

void Command::footer(const std::string& text) const { app_->footer(text); }

void Command::callback(const std::function<void()>& run) const { app_->callback(run); }

template Option Command::add_option(const std::string&, std::string&, const std::string&) const;
template Option Command::add_option(const std::string&, int&, const std::string&) const;
template Option Command::add_option(const std::string&, std::int64_t&, const std::string&) const;
template Option Command::add_option(const std::string&, std::uint64_t&, const std::string&) const;
template Option Command::add_option(const std::string&, double&, const std::string&) const;
template Option Command::add_option(const std::string&, std::vector<std::string>&, const std::string&) const;
template Option Command::add_option(const std::string&, std::vector<std::int64_t>&, const std::string&) const;
template Option Command::add_option(const std::string&, std::vector<double>&, const std::string&) const;
template Option Command::add_option(const std::string&, std::optional<std::string>&, const std::string&) const;
template Option Command::add_option(const std::string&, std::optional<int>&, const std::string&) const;
template Option Command::add_option(const std::string&, std::optional<std::int64_t>&, const std::string&) const;
template Option Command::add_option(const std::string&, std::optional<double>&, const std::string&) const;

}  // namespace hadal::cli
