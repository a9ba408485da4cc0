// How documents.h reads one file after the other; its parts are in document_reader.cpp (what all forms share),
// read_text.cpp and read_json.cpp.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "data/documents.h"

namespace hadal::data {

class DocumentReader {
 public:
  DocumentReader(const ReadOptions& options, const DocumentSink& sink,
                 const std::function<void(std::uint64_t)>& progress)
      : options_(options), sink_(sink), progress_(progress) {}
  void read(const InputFile& file);
  const ReadCounts& counts() const { return counts_; }

 private:
  // Drops the first `done` bytes of buffer_ and appends what comes next; false at the end of the file.
  bool more(std::size_t done = 0);
  // The beginning of the file says whether it can be text; drops the byte order mark.
  bool begins_as_text();
  void give(std::string_view piece, bool last);
  // An Error, or with skip_bad what is told at the end if it is the first.
  void bad(std::uint64_t& count, const std::string& what);

  void read_text();
  void take_text(std::size_t whole);
  void check_utf8(std::string_view text);
  std::size_t line_at(std::size_t place) const;

  void read_lines();
  void read_values();
  bool skip_white(std::size_t& at);
  bool one_value(std::size_t& at);
  void value(std::string_view json, std::size_t line);
  void bad_value(std::size_t line, const std::string& what);

  const ReadOptions& options_;
  const DocumentSink& sink_;
  const std::function<void(std::uint64_t)>& progress_;
  ReadCounts counts_;
  const InputFile* file_ = nullptr;
  std::string name_;
  std::unique_ptr<ByteStream> stream_;
  std::string buffer_;        // what has been read and not been used
  std::string text_;          // what is given out
  std::uint64_t before_ = 0;  // bytes of the files before this one
  std::size_t line_ = 1;      // at the beginning of buffer_ (of text), at the place of reading (of JSON)
  bool at_end_ = false, begun_ = false, crlf_ = false;
};

}  // namespace hadal::data
