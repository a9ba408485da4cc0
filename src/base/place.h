// On which cores a worker may run: not on the caller's. Nothing goes on without the caller, so beside another busy
// process it is to have a core for itself; the system spreads threads by their number, not by what hangs on them.
#pragma once

#include <sched.h>

namespace hadal {

// The calling thread's.
class Place {
 public:
  // Of so many threads. Where there are more than cores, none is kept free.
  explicit Place(int threads) {
    CPU_ZERO(&all_);
    free_ = sched_getaffinity(0, sizeof all_, &all_) == 0 && threads <= CPU_COUNT(&all_);
  }
  void keep_off(int cpu) {
    if (cpu == off_ || !free_) return;
    off_ = cpu;
    cpu_set_t others = all_;
    if (cpu >= 0 && cpu < CPU_SETSIZE) CPU_CLR(static_cast<unsigned>(cpu), &others);
    // A wish: where the system refuses it, nothing but time is lost.
    static_cast<void>(sched_setaffinity(0, sizeof others, &others));
  }

 private:
  cpu_set_t all_;
  bool free_ = false;
  int off_ = -1;
};

}  // namespace hadal
