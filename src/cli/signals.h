// What the program does about signals and standard streams: SIGINT, SIGTERM and SIGHUP become a flag; only the program
// installs handlers, never a library.
#pragma once

#include <atomic>
#include <system_error>

namespace hadal::cli {

// Installs the handlers on the first call. The second SIGINT or SIGTERM ends the process at once. Under nohup SIGHUP
// stays ignored.
const std::atomic<bool>& stop_flag();

// The flag down, and signals end the process again, as before the first call: while a prompt waits for a line.
void clear_stop_flag();

// A reader that goes away (a pager, a lost terminal) gives an error where something is written, instead of killing the
// process: for work that must end whole.
void ignore_broken_pipes();

// Calls f, which prints: where that fails (a terminal that has gone) the work goes on without it.
template <class F>
void quietly(const F& f) {
  try {
    f();
  } catch (const std::system_error&) {  // what fmt::print throws
  }
}

// Standard input, output and error that were closed stay unusable, instead of becoming the next files that are opened:
// what is printed would land in them.
void keep_standard_descriptors();

// A write past a limit on file sizes (ulimit -f) gives an error, as on a full disk, instead of killing the process.
void ignore_size_limit();

}  // namespace hadal::cli
