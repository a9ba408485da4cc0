#include "base/memory_limit.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace hadal {

namespace {

namespace fs = std::filesystem;

// The number of "NAME:   123 kB" in a file of /proc, in bytes; 0 if it is not there.
std::size_t field(const char* file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(name + ":")) return std::stoull(line.substr(name.size() + 1)) * 1024;
  }
  return 0;
}

std::size_t number_in(const fs::path& path) {
  std::ifstream in(path);
  std::string text;
  in >> text;
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end != text.data() ? value : SIZE_MAX;  // "max" is no number
}

// A folder's limit and those of all above it, up to `top`.
std::size_t least_upwards(fs::path folder, const fs::path& top, const char* file) {
  std::size_t least = number_in(top / file);
  for (; folder != top && folder.has_relative_path(); folder = folder.parent_path())
    least = std::min(least, number_in(folder / file));
  return least;
}

}  // namespace

std::size_t resident_bytes() { return field("/proc/self/status", "VmRSS"); }
std::size_t peak_resident_bytes() { return field("/proc/self/status", "VmHWM"); }

std::size_t cgroup_limit(const std::string& self_cgroup, const std::string& root) {
  std::size_t least = SIZE_MAX;
  std::istringstream lines(self_cgroup);
  for (std::string line; std::getline(lines, line);) {
    // "0::/path" of version 2, "4:memory:/path" of version 1
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = fs::path(line.substr(second + 1)).relative_path();
    if (controllers == ",,") {
      least = std::min(least, least_upwards(fs::path(root) / path, root, "memory.max"));
    } else if (controllers.find(",memory,") != std::string::npos) {
      const fs::path top = fs::path(root) / "memory";
      least = std::min(least, least_upwards(top / path, top, "memory.limit_in_bytes"));
    }
  }
  return least;
}

MemoryLimit memory_limit() {
  std::ifstream in("/proc/self/cgroup");
  std::stringstream text;
  text << in.rdbuf();
  const std::size_t group = cgroup_limit(text.str(), "/sys/fs/cgroup");
  const std::size_t available = field("/proc/meminfo", "MemAvailable");
  const std::size_t all = available > 0 ? available + resident_bytes() : SIZE_MAX;
  return group < all ? MemoryLimit{group, "the cgroup's limit"} : MemoryLimit{all, "what the system has available"};
}

}  // namespace hadal
