#include "base/threads.h"

#include <immintrin.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/error.h"

namespace hadal {

struct ThreadPool::State {
  int threads = 1;
  std::vector<std::thread> workers;

  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable done;
  std::atomic<std::uint64_t> generation{0};
  std::atomic<int> sleeping{0};      // workers that wait for a region
  std::atomic<bool> waiting{false};  // the caller waits for the last worker
  std::atomic<bool> stop{false};

  const TaskRef* task = nullptr;
  std::int64_t tasks = 0;
  std::atomic<std::int64_t> next{0};
  std::atomic<int> active{0};
  std::exception_ptr error;
  std::array<MemoryRange, ReadAhead::kRanges> ranges;  // to be read after this region
  int range_count = 0;
  struct alignas(64) Own {
    ReadAhead ahead;
  };
  std::vector<Own> own;  // of each thread

  ReadAhead share_of_next(int worker) const {
    if (range_count == 0) return {};
    constexpr std::int64_t kMost = 704 << 10;  // of a core's own cache, which holds a working set beside it
    return {std::span(ranges).first(static_cast<std::size_t>(range_count)), worker, threads, kMost};
  }

  void work(int worker) {
    try {
      // Every thread begins with the task of its own number: a kernel that cuts its work into one task a thread then
      // finds in the thread's cache what it asked for in the region before.
      for (std::int64_t i = worker; i < tasks; i = next.fetch_add(1, std::memory_order_relaxed)) (*task)(i, worker);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
      next.store(tasks, std::memory_order_relaxed);
    }
  }

  void loop(int worker) {
    std::uint64_t seen = 0;
    ReadAhead& ahead = own[static_cast<std::size_t>(worker)].ahead;
    for (;;) {
      while (generation.load(std::memory_order_acquire) == seen && ahead.step()) {
      }
      // Spin a little (a layer's regions follow each other closely), then sleep so that an idle pool costs nothing.
      for (int spin = 0; spin < 4000 && generation.load(std::memory_order_acquire) == seen; ++spin) _mm_pause();
      if (generation.load(std::memory_order_acquire) == seen) {
        std::unique_lock lock(mutex);
        sleeping.fetch_add(1);
        wake.wait(lock, [&] { return generation.load() != seen; });
        sleeping.fetch_sub(1);
      }
      if (stop.load()) return;
      seen = generation.load(std::memory_order_acquire);
      ahead = share_of_next(worker);
      work(worker);
      // Either this sees that the caller waits, or the caller sees that none is active: both are in the one order of
      // all such accesses. So the mutex is left alone as long as both sides spin; the same goes for `sleeping`.
      if (active.fetch_sub(1) == 1 && waiting.load()) {
        const std::lock_guard lock(mutex);
        done.notify_one();
      }
    }
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  if (threads < 1 || threads > 1024) fail("threads = {}: must be from 1 to 1024", threads);
  state_->threads = threads;
  state_->own.resize(static_cast<std::size_t>(threads));
  try {
    for (int i = 1; i < threads; ++i) state_->workers.emplace_back([s = state_.get(), i] { s->loop(i); });
  } catch (const std::system_error& e) {
    fail("cannot start thread {} of {}: {}", state_->workers.size() + 2, threads, e.what());
  }
}

ThreadPool::~ThreadPool() {
  state_->stop.store(true);
  {
    const std::lock_guard lock(state_->mutex);
    state_->generation.fetch_add(1);
  }
  state_->wake.notify_all();
  for (auto& w : state_->workers) w.join();
}

int ThreadPool::size() const { return state_->threads; }

void ThreadPool::run(std::int64_t tasks, TaskRef f) {
  if (tasks <= 0) return;
  State& s = *state_;
  if (s.threads == 1 || tasks == 1) {
    for (std::int64_t i = 0; i < tasks; ++i) f(i, 0);
    return;
  }
  s.task = &f;
  s.tasks = tasks;
  s.error = nullptr;
  s.next.store(s.threads, std::memory_order_relaxed);
  s.active.store(s.threads - 1, std::memory_order_relaxed);
  s.generation.fetch_add(1);
  if (s.sleeping.load() > 0) {
    const std::lock_guard lock(s.mutex);
    s.wake.notify_all();
  }
  s.own[0].ahead = s.share_of_next(0);
  s.work(0);
  for (int spin = 0; spin < 20000 && s.active.load(std::memory_order_acquire) != 0; ++spin) {
    if (!s.own[0].ahead.step()) _mm_pause();
  }
  if (s.active.load(std::memory_order_acquire) != 0) {
    std::unique_lock lock(s.mutex);
    s.waiting.store(true);
    s.done.wait(lock, [&] { return s.active.load() == 0; });
    s.waiting.store(false);
  }
  s.range_count = 0;
  if (s.error) std::rethrow_exception(s.error);
}

void ThreadPool::read_next(std::span<const MemoryRange> ranges) {
  State& s = *state_;
  s.range_count = static_cast<int>(std::min<std::size_t>(ranges.size(), ReadAhead::kRanges));
  std::copy_n(ranges.begin(), s.range_count, s.ranges.begin());
}

ReadAhead& ThreadPool::read_ahead(int worker) { return state_->own[static_cast<std::size_t>(worker)].ahead; }

int available_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
}

}  // namespace hadal
