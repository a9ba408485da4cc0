// What memory this process may use, and what it uses.
#pragma once

#include <cstddef>
#include <string>

namespace hadal {

std::size_t resident_bytes();       // at this moment
std::size_t peak_resident_bytes();  // the most so far

struct MemoryLimit {
  std::size_t bytes = 0;
  std::string source;  // "the cgroup's limit" or "what the system has available"
};
// The lesser of the limits of the process's cgroups and what the system says is available (with what this process holds
// already). SIZE_MAX if nothing is known.
MemoryLimit memory_limit();

// The limit of the cgroup files under `root` for a /proc/self/cgroup of this text; SIZE_MAX if there is none.
std::size_t cgroup_limit(const std::string& self_cgroup, const std::string& root);

}  // namespace hadal
