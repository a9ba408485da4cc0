// Lines of a conversation: from a terminal with editing and history (libedit), else from a pipe or a file as they come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace hadal::cli {

enum class Typed : std::uint8_t { line, nothing, end };

class LineReader {
 public:
  LineReader();
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  // Whether somebody types: standard input is a terminal, and there is one to show the line on.
  bool interactive() const;

  // The next line without its end, which may be LF, CRLF or CR. On a terminal a line that ends in \ goes on in the next
  // one, and Ctrl-C gives `nothing` if something was typed, else `end`, as Ctrl-D does. Throws Error for what is no
  // UTF-8, naming the line.
  Typed next(std::string& line);

 private:
  class Terminal;
  class Pipe;
  std::unique_ptr<Terminal> terminal_;
  std::unique_ptr<Pipe> pipe_;
  std::size_t number_ = 0;
};

}  // namespace hadal::cli
