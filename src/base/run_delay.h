// How long a thread has waited for a core although it could have run: the system counts it.
#pragma once

#include <cstdint>

namespace hadal {

// Of this process's thread `tid` (as gettid() gives it), in nanoseconds since it began; -1 if the system does not tell.
// A read of a file in /proc, some microseconds.
std::int64_t run_delay(int tid);

}  // namespace hadal
