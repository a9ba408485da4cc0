#include "base/run_delay.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string_view>

#include "base/error.h"

namespace hadal {

std::int64_t run_delay(int tid) {
  // "time on a core, time waiting for one, how often", since Linux 2.6.
  const int file = open(fmt::format("/proc/self/task/{}/schedstat", tid).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  std::array<char, 96> text{};
  const ssize_t bytes = read(file, text.data(), text.size());
  close(file);
  const std::string_view line(text.data(), bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
  const std::size_t second = line.find(' ');
  std::int64_t waited = -1;
  if (second != std::string_view::npos) {
    if (std::from_chars(line.data() + second + 1, line.data() + line.size(), waited).ec != std::errc()) return -1;
  }
  return waited;
}

}  // namespace hadal
