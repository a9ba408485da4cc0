#include "cli/help.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "base/report/text_plot.h"
#include "base/terminal.h"
#include "base/wrap.h"

namespace hadal::cli {

namespace {

constexpr std::size_t kText = 28;                                  // column in which explanations begin
constexpr std::size_t kLeast = 60, kMost = 110;                    // columns of a line
constexpr std::string_view kCommands[] = {"  hadal ", "  echo "};  // lines to be copied stay whole

// The last column stays free: some terminals go on to the next row as soon as it is written.
std::size_t width() {
  return (can_redraw(stdout) ? std::clamp(terminal_size(stdout).columns, kLeast, kMost) : kMost) - 1;
}

std::string entry(const std::string& name, const std::string& text) {
  const std::string head = "  " + name;
  const bool fits = report::shown_width(head) + 2 <= kText;
  return head + (fits ? std::string(kText - report::shown_width(head), ' ') : "\n" + std::string(kText, ' ')) +
         wrapped(text, width(), kText, kText) + "\n";
}

class Help : public CLI::Formatter {
 public:
  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    const bool again = !is_positional && option->get_positional();  // it stands among the positionals, too
    std::string text = again ? "the same as " + option->get_name(true, false) : option->get_description();
    if (!option->get_default_str().empty() && !again) text += " (" + default_of(*option) + ")";
    std::string others;
    for (const CLI::Option* other : option->get_excludes()) others += (others.empty() ? "" : ", ") + other->get_name();
    if (!others.empty() && !again) text += "; not together with " + others;
    return entry(make_option_name(option, is_positional) + value_of(*option) +
                     (option->get_required() && !again ? " REQUIRED" : ""),
                 text);
  }

  std::string make_subcommand(const CLI::App* verb) const override {
    return entry(verb->get_name(), verb->get_description());
  }

  std::string make_description(const CLI::App* app) const override {
    const std::string text = app->get_description();
    return text.empty() ? "" : wrapped(text, width()) + "\n";
  }

  std::string make_footer(const CLI::App* app) const override {
    std::string footer = app->get_footer(), out;
    for (std::string_view rest = footer; !rest.empty();) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      const std::string_view line = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      const bool command = std::any_of(std::begin(kCommands), std::end(kCommands),
                                       [&](std::string_view c) { return line.starts_with(c); });
      const std::size_t indent = std::min(line.find_first_not_of(' '), line.size());
      out += command ? std::string(line)
                     : std::string(indent, ' ') +
                           wrapped(line.substr(indent), width(), indent, indent > 0 ? indent + 2 : 0);
      out += "\n";
    }
    return out;
  }

 private:
  // " {f32,bf16}" for a value that is checked to be one of these, else " INT", " TEXT ..."
  static std::string value_of(const CLI::Option& option) {
    if (option.get_type_size() == 0) return "";
    std::string type = option.get_type_name();
    if (const auto colon = type.rfind(':'); colon != std::string::npos) type.erase(0, colon + 1);
    if (type == "FLOAT") type = "NUMBER";
    if (type == "UINT") type = "INT";
    const bool many = option.get_expected_max() == CLI::detail::expected_max_vector_size;
    return (type.empty() ? "" : " " + type) + (many ? " ..." : "");
  }

  // Of a list "1,2,3", not "[1,2,3]".
  static std::string default_of(const CLI::Option& option) {
    std::string text = option.get_default_str();
    if (text.size() > 2 && text.front() == '[' && text.back() == ']') text = text.substr(1, text.size() - 2);
    return text;
  }
};

}  // namespace

void use_help(CLI::App& app) { app.formatter(std::make_shared<Help>()); }

}  // namespace hadal::cli
