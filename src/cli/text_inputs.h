// The options by which text files are named and read: the same for data prepare and tokenizer train.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "cli/command.h"
#include "data/documents.h"

namespace hadal::cli {

struct TextInputs {
  std::vector<std::string> names;
  std::string format = "auto";
  data::ReadOptions read;
  int threads = 0;  // 0: all CPUs
};

// INPUT... and --input, --format, --json-key, --skip-bad, --threads.
void add_text_inputs(Command verb, TextInputs& inputs);
// The files; prints what was left out. Throws Error.
data::Inputs open_inputs(const TextInputs& inputs);
// What read_documents calls: moves the bar, and ends the program with a line when a signal asks for it.
std::function<void(std::uint64_t)> reading_progress(Progress& progress);
// Throws what ends the program with 130, after a line on stderr, if a signal asked for it.
void end_if_stopped(const char* what_is_left);
// What was left out or changed, a line each on stderr.
void print_notes(const data::ReadCounts& counts);

}  // namespace hadal::cli
