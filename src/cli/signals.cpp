#include "cli/signals.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>

namespace hadal::cli {

namespace {

std::atomic<bool> stop{false}, asked{false};
static_assert(std::atomic<bool>::is_always_lock_free);

// A closing terminal sends SIGHUP more than once, and so may whoever ends a session with SIGTERM: only a second SIGINT
// or SIGTERM means "at once".
void on_signal(int number) {
  stop.store(true);
  if (number != SIGHUP && asked.exchange(true)) {
    std::signal(number, SIG_DFL);
    std::raise(number);
  }
}

// nohup's choice stays.
void on_hangup(void (*handler)(int)) {
  struct sigaction now {};
  if (::sigaction(SIGHUP, nullptr, &now) == 0 && now.sa_handler != SIG_IGN) std::signal(SIGHUP, handler);
}

}  // namespace

const std::atomic<bool>& stop_flag() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  on_hangup(on_signal);
  return stop;
}

void clear_stop_flag() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  on_hangup(SIG_DFL);
  asked.store(false);
  stop.store(false);
}

void ignore_broken_pipes() { std::signal(SIGPIPE, SIG_IGN); }

void keep_standard_descriptors() {
  for (int fd = ::open("/dev/null", O_RDONLY); fd >= 0; fd = ::open("/dev/null", O_RDONLY)) {
    if (fd > 2) {
      ::close(fd);
      return;
    }
  }
}

void ignore_size_limit() { std::signal(SIGXFSZ, SIG_IGN); }

}  // namespace hadal::cli
