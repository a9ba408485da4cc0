// Our own thread pool: tasks are claimed, so that a slow core does not hold up the rest, nor one that another process
// has (docs/threads.md). Results must never depend on which worker runs which task.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>

#include "base/read_ahead.h"

namespace hadal {

// A non-owning reference to a callable void(int64_t task, int worker).
class TaskRef {
 public:
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, TaskRef>)
  TaskRef(F&& f)  // NOLINT: implicit on purpose, as function_ref is
      : object_(const_cast<void*>(static_cast<const void*>(&f))), call_([](void* o, std::int64_t task, int worker) {
          (*static_cast<std::remove_reference_t<F>*>(o))(task, worker);
        }) {}
  void operator()(std::int64_t task, int worker) const { call_(object_, task, worker); }

 private:
  void* object_;
  void (*call_)(void*, std::int64_t, int);
};

class ThreadPool {
 public:
  // threads >= 1 counts the calling thread, too. Throws Error if a thread cannot be started.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const;

  // Calls f(task, worker) once for every task in [0, tasks); worker in [0, size()). Returns when all are done.
  // The first exception of a task is rethrown here. Not reentrant: one run() at a time.
  void run(std::int64_t tasks, TaskRef f);

  // What will be read soon after the next run() of more than one task, at most ReadAhead::kRanges ranges. Its threads
  // ask for their shares of it: a task that computes more than it reads may do so through read_ahead(worker), and the
  // rest is asked for as threads wait, until the run() after.
  void read_next(std::span<const MemoryRange> ranges);
  ReadAhead& read_ahead(int worker);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Number of CPUs this process may use.
int available_cpus();

}  // namespace hadal
