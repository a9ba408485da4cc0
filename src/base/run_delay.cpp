#include "base/run_delay.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
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

bool shares_its_core(const std::atomic<bool>& stop) {
  constexpr auto kTime = std::chrono::milliseconds(10);  // some turns of the system's
  constexpr std::int64_t kMost = 1'000'000;              // what its own work takes now and then
  const std::int64_t before = run_delay(gettid());
  for (const auto begin = std::chrono::steady_clock::now(); std::chrono::steady_clock::now() - begin < kTime;) {
    if (stop.load(std::memory_order_relaxed)) return false;
  }
  return run_delay(gettid()) - before > kMost;
}

}  // namespace hadal
