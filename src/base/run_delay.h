// How long a thread has waited for a core although it could have run: the system counts it.
#pragma once

#include <atomic>
#include <cstdint>

namespace hadal {

// Of this process's thread `tid` (as gettid() gives it), in nanoseconds since it began; -1 if the system does not tell.
// A read of a file in /proc, some microseconds.
std::int64_t run_delay(int tid);

// Whether the calling thread shares its core: it computes for some milliseconds, until `stop` at most, and sees how
// long it had to wait meanwhile. False if the system does not tell.
bool shares_its_core(const std::atomic<bool>& stop);

}  // namespace hadal
