// Threads and kernel context of a verb.
#pragma once

#include "kernels/context.h"

namespace hadal::cli {

// 0: all CPUs this process may use.
inline int threads_or_all(int threads) { return threads > 0 ? threads : available_cpus(); }

class Runtime {
 public:
  explicit Runtime(int threads) : pool_(threads_or_all(threads)), context_(pool_, kernels::default_isa()) {}
  const kernels::Context& context() const { return context_; }
  int threads() const { return pool_.size(); }

 private:
  ThreadPool pool_;
  kernels::Context context_;
};

}  // namespace hadal::cli
