#include "cli/line_reader.h"

#include <histedit.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "cli/typed.h"

namespace hadal::cli {

namespace {

volatile std::sig_atomic_t interrupted = 0;

void on_interrupt(int) { interrupted = 1; }

// SIGINT ends a read instead of the process, while this object lives.
class Interruptible {
 public:
  Interruptible() {
    interrupted = 0;
    struct sigaction action {};
    action.sa_handler = on_interrupt;  // without SA_RESTART
    sigaction(SIGINT, &action, &before_);
  }
  ~Interruptible() { sigaction(SIGINT, &before_, nullptr); }
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  struct sigaction before_ {};
};

}  // namespace

class LineReader::Terminal {
 public:
  explicit Terminal(std::FILE* out) : out_(out), history_(history_init()) {
    std::setlocale(LC_CTYPE, "C.UTF-8");  // libedit counts characters by it
    editor_ = el_init("hadal", stdin, out, stderr);
    if (editor_ == nullptr || history_ == nullptr) fail("this terminal cannot be set up for editing");
    HistEvent event;
    history(history_, &event, H_SETSIZE, 1000);
    history(history_, &event, H_SETUNIQUE, 1);
    el_set(editor_, EL_CLIENTDATA, this);
    el_set(editor_, EL_PROMPT, &prompt);
    el_set(editor_, EL_EDITOR, "emacs");
    el_set(editor_, EL_SIGNAL, 1);  // gives the terminal back when the process stops or ends
    el_set(editor_, EL_HIST, &::history, history_);
  }
  ~Terminal() {
    el_end(editor_);
    history_end(history_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  Typed next(std::string& line) {
    line.clear();
    const Interruptible guard;
    for (continued_ = false;; continued_ = true) {
      int count = 0;
      const char* typed = el_gets(editor_, &count);
      if (typed == nullptr || count <= 0) return ended(line);
      line.append(typed, static_cast<std::size_t>(count));
      while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
      if (!line.ends_with('\\')) break;
      line.back() = '\n';
    }
    HistEvent event;
    if (!line.empty()) history(history_, &event, H_ENTER, line.c_str());
    return Typed::line;
  }

 private:
  static char* prompt(EditLine* editor) {
    Terminal* self = nullptr;
    el_get(editor, EL_CLIENTDATA, &self);
    static char first[] = "> ", more[] = "... ";
    return self->continued_ ? more : first;
  }

  Typed ended(const std::string& line) {
    std::fputs("\n", out_);
    std::fflush(out_);
    if (interrupted == 0) return Typed::end;
    const LineInfo* typed = el_line(editor_);
    const bool anything = !line.empty() || (typed != nullptr && typed->lastchar > typed->buffer);
    return anything ? Typed::nothing : Typed::end;
  }

  std::FILE* out_;
  EditLine* editor_ = nullptr;
  History* history_;
  bool continued_ = false;
};

// By read(2), so that a line is there as soon as its end is.
class LineReader::Pipe {
 public:
  Typed next(std::string& line) {
    line.clear();
    for (int c = get(); c >= 0; c = get()) {
      const bool second = c == '\n' && after_return_;  // of CRLF
      after_return_ = c == '\r';
      if (second) continue;
      if (c == '\n' || c == '\r') return Typed::line;
      line += static_cast<char>(c);
    }
    return line.empty() ? Typed::end : Typed::line;
  }

 private:
  int get() {
    if (at_ == size_) {
      ssize_t n = 0;
      do n = ::read(STDIN_FILENO, buffer_.data(), buffer_.size());
      while (n < 0 && errno == EINTR);
      if (n < 0) fail("cannot read standard input: {}", std::strerror(errno));
      at_ = 0;
      size_ = static_cast<std::size_t>(n);
      if (n == 0) return -1;
    }
    return static_cast<unsigned char>(buffer_[at_++]);
  }

  std::array<char, 4096> buffer_{};
  std::size_t at_ = 0, size_ = 0;
  bool after_return_ = false;
};

LineReader::LineReader() {
  std::FILE* out = isatty(STDOUT_FILENO) == 1 ? stdout : isatty(STDERR_FILENO) == 1 ? stderr : nullptr;
  if (isatty(STDIN_FILENO) == 1 && out != nullptr) {
    terminal_ = std::make_unique<Terminal>(out);
  } else {
    pipe_ = std::make_unique<Pipe>();
  }
}

LineReader::~LineReader() = default;

bool LineReader::interactive() const { return terminal_ != nullptr; }

Typed LineReader::next(std::string& line) {
  const Typed typed = terminal_ ? terminal_->next(line) : pipe_->next(line);
  ++number_;
  if (typed == Typed::line) line = clean_text(line, fmt::format("line {} of the chat", number_));
  return typed;
}

}  // namespace hadal::cli
