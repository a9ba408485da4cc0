// Who does which task of a parallel region: tasks are claimed, never assigned, so that a region waits for no thread
// that has claimed nothing. A thread may arrive when its region is long over and the next one is running: it then
// claims nothing, and touches nothing but what is here.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace hadal {

class Claims {
 public:
  explicit Claims(int threads, std::uint32_t epoch = 0)
      : first_(static_cast<std::size_t>(threads)), ticket_(std::uint64_t{epoch} << 32U) {
    for (First& f : first_) f.epoch.store(epoch);
  }

  // A region of at most 2^31 tasks. All tasks of the region before are done. What the tasks need to know is written
  // before.
  void begin(std::int64_t tasks) {
    const std::uint32_t epoch = this->epoch() + 1;
    const auto threads = static_cast<std::int64_t>(first_.size());
    tasks_ = tasks;
    left_.store(tasks, std::memory_order_relaxed);
    for (std::int64_t t = tasks; t < threads; ++t) first_[static_cast<std::size_t>(t)].epoch.store(epoch);
    const auto shared = static_cast<std::uint64_t>(tasks > threads ? tasks - threads : 0);
    ticket_.store(std::uint64_t{epoch} << 32U | shared);
  }

  // Of the region that runs, or ran last.
  std::uint32_t epoch() const { return static_cast<std::uint32_t>(ticket_.load() >> 32U); }

  // A task of region `epoch` for the thread; -1 if none is left, or if the region is over. Its first task has the
  // thread's own number: a kernel that cuts its work into one task a thread then finds in the thread's cache what it
  // asked for in the region before. Such tasks of threads that have not come are taken last.
  std::int64_t claim(std::uint32_t epoch, int thread) {
    if (claim_first(epoch, thread)) return thread;
    std::uint64_t t = ticket_.load(std::memory_order_relaxed);
    while (static_cast<std::uint32_t>(t >> 32U) == epoch && static_cast<std::uint32_t>(t) > 0) {
      if (ticket_.compare_exchange_weak(t, t - 1)) return tasks_ - static_cast<std::uint32_t>(t);
    }
    const int threads = static_cast<int>(first_.size());
    for (int i = 1; i < threads; ++i) {
      const int other = (thread + i) % threads;
      if (claim_first(epoch, other)) return other;
    }
    return -1;
  }

  // `tasks` of those that a thread claimed are done; true if they were the region's last ones.
  bool done(std::int64_t tasks) { return left_.fetch_sub(tasks) == tasks; }
  bool all_done() const { return left_.load() == 0; }

 private:
  bool claim_first(std::uint32_t epoch, int thread) {
    std::atomic<std::uint32_t>& last = first_[static_cast<std::size_t>(thread)].epoch;
    std::uint32_t seen = last.load(std::memory_order_relaxed);
    // By difference, since epochs go round.
    return static_cast<std::int32_t>(epoch - seen) > 0 && last.compare_exchange_strong(seen, epoch);
  }

  // The last region in which the thread's first task was claimed, or in which there was none for it. In a region that
  // is over all are at its epoch or beyond, so that who comes late cannot claim one.
  struct alignas(64) First {
    std::atomic<std::uint32_t> epoch{0};
  };
  std::vector<First> first_;
  alignas(64) std::atomic<std::uint64_t> ticket_;  // epoch, and how many of the tasks behind the first ones are left
  alignas(64) std::atomic<std::int64_t> left_{0};  // tasks that are not done
  std::int64_t tasks_ = 0;                         // read after a claim, which keeps the region alive
};

}  // namespace hadal
