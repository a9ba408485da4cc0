// Threads and kernel context of a verb.
#pragma once

#include "kernels/context.h"

namespace hadal::cli {

class Runtime {
 public:
  // threads 0: all CPUs this process may use.
  explicit Runtime(int threads)
      : pool_(threads > 0 ? threads : available_cpus()), context_(pool_, kernels::default_isa()) {}
  const kernels::Context& context() const { return context_; }
  int threads() const { return pool_.size(); }

 private:
  ThreadPool pool_;
  kernels::Context context_;
};

}  // namespace hadal::cli
