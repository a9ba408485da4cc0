#include "cli/text_inputs.h"

#include <fmt/format.h>

#include <optional>

#include "base/threads.h"
#include "cli/failure.h"
#include "cli/options.h"
#include "cli/signals.h"

namespace hadal::cli {

void add_text_inputs(Command verb, TextInputs& inputs) {
  verb.add_option(
          "input,--input,--inputs", inputs.names,
          "files, folders (with all below), globs, or - for standard input: .jsonl, a document per line; .json, "
          "an array of documents; anything else, one document of text; also packed, .gz or .zst")
      .required();
  verb.add_option("--format", inputs.format, "read every input as text, jsonl or json, whatever its name")
      .one_of({"auto", "text", "jsonl", "json"})
      .shows_default();
  verb.add_option("--json-key,--text-key", inputs.read.json_key, "where a JSON document has its text").shows_default();
  verb.add_flag("--skip-bad", inputs.read.skip_bad,
                "leave damaged lines and files out and say how many; without it they are errors");
  add_threads(verb, inputs.threads);
}

data::Inputs open_inputs(const TextInputs& inputs) {
  std::optional<data::Form> form;
  if (inputs.format == "text") form = data::Form::text;
  if (inputs.format == "jsonl") form = data::Form::json_lines;
  if (inputs.format == "json") form = data::Form::json;
  data::Inputs found = data::find_inputs(inputs.names, form);
  for (const std::string& line : found.notes) note(line);
  return found;
}

void end_if_stopped(const char* what_is_left) {
  if (!stop_flag().load()) return;
  fmt::print(stderr, "hadal: stopped: {}\n", what_is_left);
  end_with(130);
}

std::function<void(std::uint64_t)> reading_progress(Progress& progress) {
  (void)stop_flag();  // from now on a signal is a flag
  return [&progress](std::uint64_t bytes) {
    progress.update(static_cast<std::int64_t>(bytes));
    end_if_stopped("nothing was written");
  };
}

void print_notes(const data::ReadCounts& counts) {
  for (const std::string& line : counts.notes()) note(line);
}

}  // namespace hadal::cli
