#include "cli/line_reader.h"

#include <fcntl.h>
#include <histedit.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <cwchar>

#include "base/error.h"
#include "cli/typed.h"

namespace hadal::cli {

namespace {

// What SIGINT leaves for a read that waits, or that begins later: a byte in a pipe, so that none is lost between the
// two.
std::array<int, 2> interrupts{-1, -1};

void on_interrupt(int) {
  const int before = errno;
  [[maybe_unused]] const ssize_t written = ::write(interrupts[1], "", 1);  // full: there is one already
  errno = before;
}

bool take_interrupt() {
  bool any = false;
  for (std::array<char, 64> bytes{}; ::read(interrupts[0], bytes.data(), bytes.size()) > 0;) any = true;
  return any;
}

// SIGINT ends a read instead of the process, while this object lives.
class Interruptible {
 public:
  Interruptible() {
    if (interrupts[0] < 0 && ::pipe2(interrupts.data(), O_CLOEXEC | O_NONBLOCK) != 0)
      fail("cannot make a pipe: {}", std::strerror(errno));
    take_interrupt();
    struct sigaction action {};
    action.sa_handler = on_interrupt;
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
    el_set(editor_, EL_GETCFN, &character);
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
    interrupted_ = false;
    for (continued_ = false;; continued_ = true) {
      int count = 0;
      // Else libedit does so after the prompt, and a Ctrl-D that is typed in between is lost.
      el_set(editor_, EL_PREP_TERM, 1);
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

  // For libedit: 1 and the next character, 0 at the end, -1 if a signal ends the line.
  static int character(EditLine* editor, wchar_t* out) {
    Terminal* self = nullptr;
    el_get(editor, EL_CLIENTDATA, &self);
    std::mbstate_t state{};
    while (true) {
      std::array<pollfd, 2> ready{pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{interrupts[0], POLLIN, 0}};
      const bool resized = ::poll(ready.data(), ready.size(), -1) < 0;
      if (take_interrupt()) {
        self->interrupted_ = true;
        errno = EINTR;
        return -1;
      }
      if (resized) {  // or continued after a stop
        el_set(editor, EL_REFRESH);
        continue;
      }
      char byte = 0;
      const ssize_t n = ::read(STDIN_FILENO, &byte, 1);
      if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (n <= 0) return static_cast<int>(n);
      const std::size_t used = std::mbrtowc(out, &byte, 1, &state);
      if (used == static_cast<std::size_t>(-2)) continue;  // more bytes of this character are to come
      if (used == static_cast<std::size_t>(-1)) *out = L'\uFFFD';
      return 1;
    }
  }

  Typed ended(const std::string& line) {
    std::fputs("\n", out_);
    std::fflush(out_);
    if (!interrupted_) return Typed::end;
    const LineInfo* typed = el_line(editor_);
    const bool anything = !line.empty() || (typed != nullptr && typed->lastchar > typed->buffer);
    return anything ? Typed::nothing : Typed::end;
  }

  std::FILE* out_;
  EditLine* editor_ = nullptr;
  History* history_;
  bool continued_ = false, interrupted_ = false;
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
