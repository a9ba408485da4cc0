#include "kernels/profile.h"

namespace hadal::kernels {

void Profile::add(std::string_view name, double seconds, double flops, double work) {
  auto found = entries_.find(name);
  if (found == entries_.end()) found = entries_.emplace(name, Entry{}).first;
  found->second.seconds += seconds;
  found->second.flops += flops;
  found->second.work += work;
  ++found->second.calls;
}

double Profile::seconds() const {
  double total = 0;
  for (const auto& [name, entry] : entries_) total += entry.seconds;
  return total;
}

}  // namespace hadal::kernels
