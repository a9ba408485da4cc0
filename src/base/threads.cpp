#include "base/threads.h"

#include <immintrin.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cfenv>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/claims.h"
#include "base/error.h"
#include "base/parking.h"
#include "base/place.h"
#include "base/run_delay.h"

namespace hadal {

namespace {

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

struct ThreadPool::State {
  explicit State(int n) : threads(n), claims(n), own(static_cast<std::size_t>(n)) {}

  const int threads;
  std::vector<std::thread> workers;

  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable done;
  std::atomic<int> sleeping{0};      // workers that wait for a region
  std::atomic<bool> waiting{false};  // the caller waits for the last task
  std::atomic<bool> stop{false};
  std::atomic<int> caller_cpu{-1};  // its core

  Claims claims;
  // The region: read after a claim only.
  const TaskRef* task = nullptr;
  std::exception_ptr error;
  std::atomic<bool> failed{false};
  std::int64_t caller_seen = 0;                        // when waited_for_caller() last had a look
  std::int64_t rested = 0;                             // when it last gave a worker a rest
  std::int64_t begun = 0;                              // when the last region began
  std::atomic<std::int64_t> interval{0};               // from one region to the next, about
  std::array<MemoryRange, ReadAhead::kRanges> ranges;  // to be read after this region
  int range_count = 0;

  struct alignas(64) Own {
    ReadAhead ahead;
    std::atomic<std::uint32_t> holds{0};        // the region of which it has claimed tasks that are not done
    std::atomic<std::int64_t> parked_until{0};  // it rests until then; 0: takes part
    std::atomic<bool> needs_core{false};        // it comes back from its rest to a core of its own only
    std::atomic<std::int64_t> out_at{0};        // when it last found no more tasks
    std::atomic<std::int64_t> worked{0};        // time from its first task of a region to that moment, all regions
    std::atomic<int> tid{0};
    // The caller's.
    Parking parking;
    std::int64_t delay = 0, worked_before = 0;  // run_delay() and `worked` as last seen
    bool late = false;                          // was waited for at the end of a region

    void rest(std::int64_t until, bool until_alone) {
      needs_core.store(until_alone, std::memory_order_relaxed);
      parked_until.store(until, std::memory_order_relaxed);
    }
    // Has it waited for a core for most of these nanoseconds?
    bool lost_its_core(std::int64_t ns) {
      const std::int64_t now = run_delay(tid.load(std::memory_order_relaxed)), before = delay;
      delay = now;
      return now < 0 || now - before > ns / 2;
    }
  };
  std::vector<Own> own;  // of each thread

  ReadAhead share_of_next(int worker) const {
    if (range_count == 0) return {};
    constexpr std::int64_t kMost = 704 << 10;  // of a core's own cache, which holds a working set beside it
    return {std::span(ranges).first(static_cast<std::size_t>(range_count)), worker, threads, kMost};
  }

  // True if this thread did the last task of the region.
  bool work(std::uint32_t epoch, int worker) {
    Own& mine = own[static_cast<std::size_t>(worker)];
    std::int64_t count = 0, begin = 0;
    for (std::int64_t i = claims.claim(epoch, worker); i >= 0; i = claims.claim(epoch, worker)) {
      if (count++ == 0) {
        mine.holds.store(epoch, std::memory_order_relaxed);
        if (worker > 0) begin = now_ns();
        mine.ahead = share_of_next(worker);
      }
      if (failed.load(std::memory_order_relaxed)) continue;
      try {
        (*task)(i, worker);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
        failed.store(true, std::memory_order_relaxed);
      }
    }
    if (count == 0) return false;
    mine.holds.store(0, std::memory_order_relaxed);
    if (worker > 0) {
      const std::int64_t now = now_ns();
      mine.out_at.store(now, std::memory_order_relaxed);
      mine.worked.store(mine.worked.load(std::memory_order_relaxed) + now - begin, std::memory_order_relaxed);
    }
    return claims.done(count);
  }

  void loop(int worker) {
    std::fesetenv(FE_DFL_ENV);  // not what the thread that made the pool has set for itself
    std::uint32_t seen = 0;
    Own& mine = own[static_cast<std::size_t>(worker)];
    mine.tid.store(gettid(), std::memory_order_relaxed);
    Place place(threads);
    for (;;) {
      while (claims.epoch() == seen && mine.ahead.step()) {
      }
      // Spin a little (a layer's regions follow each other closely), then sleep so that an idle pool costs nothing.
      for (int spin = 0; spin < 4000 && claims.epoch() == seen; ++spin) _mm_pause();
      if (claims.epoch() == seen) {
        std::unique_lock lock(mutex);
        sleeping.fetch_add(1);
        wake.wait(lock, [&] { return claims.epoch() != seen; });
        sleeping.fetch_sub(1);
      }
      if (const std::int64_t until = mine.parked_until.load(std::memory_order_relaxed); until != 0)
        park(mine, place, until);
      if (stop.load()) return;
      seen = claims.epoch();
      mine.ahead = {};
      place.keep_off(caller_cpu.load(std::memory_order_relaxed));
      // Either this sees that the caller waits, or the caller sees that all is done: both are in the one order of all
      // such accesses. So the mutex is left alone as long as both sides spin; the same goes for `sleeping`.
      if (work(seen, worker) && waiting.load()) {
        const std::lock_guard lock(mutex);
        done.notify_one();
      }
    }
  }

  void park(Own& mine, Place& place, std::int64_t until) {
    for (std::int64_t length = kBeforeTrial;; length = std::min(4 * length, kBetweenTrials)) {
      {
        std::unique_lock lock(mutex);
        for (std::int64_t now = now_ns(); now < until && !stop.load(); now = now_ns())
          wake.wait_for(lock, std::chrono::nanoseconds(until - now));
      }
      if (!mine.needs_core.load(std::memory_order_relaxed) || !short_regions()) break;
      place.keep_off(caller_cpu.load(std::memory_order_relaxed));
      if (!shares_its_core(stop)) break;
      until = now_ns() + length;
    }
    mine.parked_until.store(0, std::memory_order_relaxed);
  }

  // The caller's, when no task is left to claim.
  void wait_for_others(std::uint32_t epoch) {
    Own& mine = own[0];
    for (int spin = 0; spin < kSpins && !claims.all_done(); ++spin) {
      if (!mine.ahead.step()) _mm_pause();
    }
    if (claims.all_done()) return;
    const std::int64_t begin = now_ns();
    for (Own& o : own) o.late = o.holds.load(std::memory_order_relaxed) == epoch;
    {
      std::unique_lock lock(mutex);
      waiting.store(true);
      done.wait(lock, [&] { return claims.all_done(); });
      waiting.store(false);
    }
    const std::int64_t now = now_ns();
    for (Own& o : own) {
      if (o.late) held_up(o, now, now - begin);
    }
  }

  // As a region begins. The average is over about a training step, which has short regions, too.
  void note_interval(std::int64_t now) {
    const std::int64_t before = interval.load(std::memory_order_relaxed);
    interval.store(before + (std::min(now - begun, Parking::kWait) - before) / 1024, std::memory_order_relaxed);
    begun = now;
  }
  bool short_regions() const { return interval.load(std::memory_order_relaxed) < kShort; }

  // As a region begins: the workers have had nothing to do since they did the last one's tasks. If that was not for
  // work that took so long, but because the caller had lost its core, one of them rests for a moment: the system then
  // gives the caller a core of its own, which the worker keeps off afterwards. Not too often: between many processes it
  // is in vain.
  void waited_for_caller(std::int64_t now) {
    std::int64_t since = caller_seen;
    Own* there = nullptr;
    for (std::size_t i = 1; i < own.size(); ++i) {
      since = std::max(since, own[i].out_at.load(std::memory_order_relaxed));
      if (own[i].parked_until.load(std::memory_order_relaxed) == 0) there = &own[i];
    }
    if (there == nullptr || now - since < Parking::kWait) return;
    caller_seen = now;
    own[0].tid.store(gettid(), std::memory_order_relaxed);
    if (!own[0].lost_its_core(now - since) || now - rested < kBetweenRests) return;
    rested = now;
    there->rest(now + kRest, false);
  }

  // All others have waited for a worker. Half a core is of no help in short regions: each time that the worker loses
  // it, all wait for a thousand of them. In long ones it may be.
  void held_up(Own& worker, std::int64_t now, std::int64_t ns) const {
    if (ns < Parking::kWait || !worker.lost_its_core(ns)) return;
    const std::int64_t worked = worker.worked.load(std::memory_order_relaxed), helped = worked - worker.worked_before;
    worker.worked_before = worked;
    if (short_regions()) {
      worker.rest(now + kBeforeTrial, true);
    } else if (worker.parking.waited(now, ns, helped - ns)) {
      worker.rest(worker.parking.until(), false);
    }
  }

  static constexpr int kSpins = 4000;
  static constexpr std::int64_t kRest = 10'000'000, kBetweenRests = 100'000'000;
  static constexpr std::int64_t kShort = 50'000, kBeforeTrial = 20'000'000, kBetweenTrials = 160'000'000;
};

ThreadPool::ThreadPool(int threads) {
  if (threads < 1 || threads > 1024) fail("threads = {}: must be from 1 to 1024", threads);
  state_ = std::make_unique<State>(threads);
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
    state_->claims.begin(0);
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
  s.error = nullptr;
  s.failed.store(false, std::memory_order_relaxed);
  s.caller_cpu.store(sched_getcpu(), std::memory_order_relaxed);
  const std::int64_t now = now_ns();
  s.note_interval(now);
  s.waited_for_caller(now);
  s.claims.begin(tasks);
  const std::uint32_t epoch = s.claims.epoch();
  if (s.sleeping.load() > 0) {
    const std::lock_guard lock(s.mutex);
    s.wake.notify_all();
  }
  if (!s.work(epoch, 0)) s.wait_for_others(epoch);
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
