// SIGINT and SIGTERM as a flag; only the program installs handlers, never a library.
#pragma once

#include <atomic>

namespace hadal::cli {

// Installs the handlers on the first call. The second signal ends the process at once.
const std::atomic<bool>& stop_flag();

// The flag down, and signals end the process again, as before the first call: while a prompt waits for a line.
void clear_stop_flag();

// A write past a limit on file sizes (ulimit -f) gives an error, as on a full disk, instead of killing the process.
void ignore_size_limit();

}  // namespace hadal::cli
