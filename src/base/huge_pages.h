// A hint to the kernel: weights and packed operands are read from end to end, and 4 KiB pages cost a table walk for
// every few rows.
#pragma once

#include <cstddef>

namespace hadal {

// Asks for 2 MiB pages around [data, data + bytes), before it is first touched. Small blocks are left alone. Where the
// system does not give them, nothing changes.
void ask_for_huge_pages(void* data, std::size_t bytes);

}  // namespace hadal
