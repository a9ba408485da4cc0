#include "base/huge_pages.h"

#include <sys/mman.h>

#include <cstdint>

namespace hadal {

void ask_for_huge_pages(void* data, std::size_t bytes) {
  constexpr std::uintptr_t kPage = 2 << 20;
  constexpr std::size_t kSmall = 256 << 10;
  if (bytes < kSmall) return;
  // Rounded outwards: neighbours on the heap share the page, and gain as well.
  const auto begin = reinterpret_cast<std::uintptr_t>(data) / kPage * kPage;
  const auto end = (reinterpret_cast<std::uintptr_t>(data) + bytes + kPage - 1) / kPage * kPage;
  (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);  // only a hint
}

}  // namespace hadal
