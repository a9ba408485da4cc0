// What a user names as text: files, folders, globs and standard input become a list of files and how each is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/byte_stream.h"

namespace hadal::data {

// text: the whole file is one document. json_lines: one document per line. json: an array of documents, or objects one
// after the other. detect: json_lines if it begins with {, else text.
enum class Form { text, json_lines, json, detect };

struct InputFile {
  std::filesystem::path path;  // "-": standard input
  Form form = Form::text;
  Packing packing = Packing::none;
  bool named = true;        // by the user, or by a glob; false: found in a folder
  std::uint64_t bytes = 0;  // before unpacking; 0 for what is no regular file
};

struct Inputs {
  std::vector<InputFile> files;    // in the order they were named, those of a folder or glob by path
  std::vector<std::string> notes;  // what was left out and why, a line each
  std::uint64_t bytes = 0;         // of all files; 0 if it is not known
};

// Each of `names` is a file, a folder (searched with all below it for files whose ending says that they are text), a
// glob (*, ?, [...], ** for any folders), or "-". `form`: how to read all of them, whatever their names end in. Throws
// Error for what is not there, and for files of a known kind that cannot be read as text.
Inputs find_inputs(const std::vector<std::string>& names, std::optional<Form> form = {});

}  // namespace hadal::data
