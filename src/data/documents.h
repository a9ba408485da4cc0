// Documents of text files as streams of pieces: memory is a buffer, or for JSON one value at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "data/inputs.h"

namespace hadal::data {

struct ReadOptions {
  std::string json_key = "text";
  // What is damaged is left out and counted instead of being an Error: values of JSON, NUL bytes of text, files that
  // are no text at all, and the rest of a packed file from its damage on.
  bool skip_bad = false;
};

// What the reader saw; notes() are the lines a user should read.
struct ReadCounts {
  std::uint64_t files = 0, documents = 0, text_bytes = 0, empty_documents = 0;
  std::uint64_t bad_values = 0, bad_files = 0, cut_files = 0, nul_bytes = 0;
  std::uint64_t invalid_bytes = 0, crlf_files = 0, binary_files = 0;
  std::string first_bad, first_invalid;  // where and what
  std::string detected;                  // what was found to be JSON by how it begins
  std::vector<std::string> notes() const;
};

// Called with the pieces of each document in order; `last` with the last one. Pieces are never cut inside a character;
// only the last may be empty, and a document is never empty.
using DocumentSink = std::function<void(std::string_view piece, bool last)>;

// What a sink throws for a document that it cannot take; read_documents puts the file's name before it.
class DocumentError : public Error {
 public:
  using Error::Error;
};

// Reads every file in order. Text files: a byte order mark at the beginning is dropped, CRLF becomes LF, bytes that are
// not UTF-8 stay as they are and are counted. Throws Error naming file and line.
// progress: called with the bytes of all files read so far, before unpacking; may throw to stop.
ReadCounts read_documents(const Inputs& inputs, const ReadOptions& options, const DocumentSink& sink,
                          const std::function<void(std::uint64_t)>& progress = {});

}  // namespace hadal::data
