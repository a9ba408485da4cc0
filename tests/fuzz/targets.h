// One function for each reader of files: it hands the reader what may be anybody's bytes. A reader either takes them or
// throws an Error of one line that names the file; anything else is a bug. libFuzzer drives each function
// (tests/fuzz/libfuzzer), and replay_test.cpp goes through the kept inputs of tests/fuzz/corpus in every build.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace hadal::fuzz {

using Function = void(std::string_view input);
Function safetensors, json, tokenizer, recipe, corpora, shards, state, metrics, reference;

struct Target {
  const char* name;
  Function* run;
};
inline constexpr Target kTargets[] = {
    {"safetensors", safetensors}, {"json", json},     {"tokenizer", tokenizer}, {"recipe", recipe},
    {"corpora", corpora},         {"shards", shards}, {"state", state},         {"metrics", metrics},
    {"reference", reference}};

// A folder of this process, in memory where the machine has such a file system, emptied when the process ends.
const std::filesystem::path& folder();
// Writes a file of that folder; folders on the way are made.
std::filesystem::path write(const std::string& name, std::string_view content);
// Calls f. An Error must be one short line of printable text with `file` in it; whatever else f throws comes through.
// Returns whether f came to its end.
bool expect_error_names(const std::string& file, const std::function<void()>& f);
// How often f came to its end in this process.
std::size_t read_whole();
// Throws std::logic_error.
void require(bool ok, const char* what);

// Takes the first line off the input: what a harness is told beside the file.
std::string_view first_line(std::string_view& input);
// A safetensors file with this header and as many bytes of data as its data_offsets ask for, at most 1 MiB: so that
// what is tried is the header, not the length before it.
std::string with_data(std::string_view header);

}  // namespace hadal::fuzz
