// The thread pool: every task exactly once, exceptions come out, any size, reuse. tsan runs these, too.
#include "base/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/error.h"

namespace hadal {
namespace {

// How often each task ran, and that workers stay in range. Not atomic: each task owns its slot, as kernels own their
// tile.
std::vector<int> counts_of(ThreadPool& pool, std::int64_t tasks) {
  std::vector<int> counts(static_cast<std::size_t>(tasks));
  std::atomic<bool> worker_in_range{true};
  pool.run(tasks, [&](std::int64_t task, int worker) {
    if (worker < 0 || worker >= pool.size()) worker_in_range = false;
    ++counts.at(static_cast<std::size_t>(task));
  });
  EXPECT_TRUE(worker_in_range);
  return counts;
}

TEST(ThreadPool, RunsEveryTaskExactlyOnce) {
  for (int threads = 1; threads <= 8; ++threads) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (const std::int64_t tasks : {1, 2, 3, 7, 8, 9, 64, 1009}) {
      EXPECT_EQ(counts_of(pool, tasks), std::vector<int>(static_cast<std::size_t>(tasks), 1))
          << threads << " threads, " << tasks << " tasks";
    }
  }
}

TEST(ThreadPool, NoTasksIsNoCall) {
  ThreadPool pool(3);
  int calls = 0;
  pool.run(0, [&](std::int64_t, int) { ++calls; });
  pool.run(-5, [&](std::int64_t, int) { ++calls; });
  EXPECT_EQ(calls, 0);
}

TEST(ThreadPool, ResultsAreVisibleAfterRunAndInTheNextRun) {
  ThreadPool pool(4);
  std::vector<std::int64_t> values(257);
  std::iota(values.begin(), values.end(), 0);
  const auto count = static_cast<std::int64_t>(values.size());
  for (int round = 0; round < 50; ++round) {
    // A worker reads what another one wrote in the round before.
    pool.run(count, [&](std::int64_t task, int) { ++values[static_cast<std::size_t>((task + round) % count)]; });
  }
  for (std::int64_t i = 0; i < count; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], i + 50);
}

TEST(ThreadPool, ReusedTenThousandTimes) {
  ThreadPool pool(3);
  std::vector<std::int64_t> sums(8);
  for (std::int64_t round = 0; round < 10000; ++round) {
    pool.run(8, [&](std::int64_t task, int) { sums[static_cast<std::size_t>(task)] += round; });
  }
  EXPECT_EQ(sums, std::vector<std::int64_t>(8, 10000LL * 9999 / 2));
}

// A run that begins when the workers have gone to sleep, and runs of changing sizes in quick succession.
TEST(ThreadPool, WakesWorkersThatSleep) {
  ThreadPool pool(3);
  for (const std::int64_t tasks : {5, 1, 300, 2}) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(counts_of(pool, tasks), std::vector<int>(static_cast<std::size_t>(tasks), 1));
  }
}

// Tasks that wait for each other can only end if as many workers as threads take part.
TEST(ThreadPool, AllThreadsWorkAtTheSameTime) {
  for (int threads = 2; threads <= 8; ++threads) {
    ThreadPool pool(threads);
    std::atomic<int> arrived{0};
    std::vector<std::atomic<int>> tasks_of_worker(static_cast<std::size_t>(threads));
    pool.run(threads, [&](std::int64_t, int worker) {
      ++tasks_of_worker[static_cast<std::size_t>(worker)];
      ++arrived;
      while (arrived < threads) std::this_thread::yield();
    });
    for (const auto& n : tasks_of_worker) EXPECT_EQ(n, 1);
  }
}

TEST(ThreadPool, FirstExceptionComesOutAndThePoolLivesOn) {
  for (int threads = 1; threads <= 4; ++threads) {
    ThreadPool pool(threads);
    for (const std::int64_t bad : {0, 1, 99}) {
      std::atomic<int> ran{0};
      try {
        pool.run(100, [&](std::int64_t task, int) {
          ++ran;
          if (task == bad) throw std::runtime_error("task " + std::to_string(task));
        });
        FAIL() << "no exception came out of " << threads << " threads";
      } catch (const std::runtime_error& e) {
        EXPECT_EQ(std::string(e.what()), "task " + std::to_string(bad));
      }
      EXPECT_GE(ran,
                bad == 99 ? 100 - (threads - 1) : 1);  // first tasks of threads that did not come are the last ones
      EXPECT_LE(ran, 100);
      EXPECT_EQ(counts_of(pool, 100), std::vector<int>(100, 1)) << "the run after an exception";
    }
  }
}

TEST(ThreadPool, ManyExceptionsAtOnceGiveOne) {
  ThreadPool pool(8);
  for (int round = 0; round < 200; ++round) {
    EXPECT_THROW(pool.run(64, [](std::int64_t, int) { throw std::runtime_error("bad"); }), std::runtime_error);
  }
}

// A task may run a pool of its own: pools share nothing.
TEST(ThreadPool, PoolInsideATaskOfAnotherPool) {
  ThreadPool outer(3);
  std::vector<std::int64_t> sums(6);
  outer.run(6, [&](std::int64_t task, int) {
    ThreadPool inner(static_cast<int>(task) % 3 + 1);
    std::vector<std::int64_t> parts(40);
    inner.run(40, [&](std::int64_t i, int) { parts[static_cast<std::size_t>(i)] = i * task; });
    sums[static_cast<std::size_t>(task)] = std::accumulate(parts.begin(), parts.end(), std::int64_t{0});
  });
  for (std::int64_t task = 0; task < 6; ++task) EXPECT_EQ(sums[static_cast<std::size_t>(task)], task * 780);
}

TEST(ThreadPool, MadeAndDestroyedUnused) {
  for (int round = 0; round < 100; ++round) ThreadPool pool(1 + round % 8);
}

TEST(ThreadPool, RefusesSizesThatMakeNoSense) {
  for (const int threads : {0, -1, 1025}) {
    try {
      ThreadPool pool(threads);
      FAIL() << threads << " threads were accepted";
    } catch (const Error& e) {
      EXPECT_EQ(std::string(e.what()), fmt::format("threads = {}: must be from 1 to 1024", threads));
    }
  }
}

TEST(ThreadPool, AvailableCpusIsWithinTheMachines) {
  EXPECT_GE(available_cpus(), 1);
  EXPECT_LE(available_cpus(), static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
}

// The shares of all threads are the ranges, each region cut on its own, and no thread asks for more than it may.
TEST(ReadAhead, SharesAreTheRangesOfEachRegion) {
  std::vector<char> memory(100000);
  const auto at = [&](std::int64_t i) { return memory.data() + i; };
  const std::vector<MemoryRange> ranges{{at(0), 1000, false},  {at(5000), 3000, true}, {at(20000), 700, false},
                                        {at(30000), 50, true}, {at(40000), 1, true},   {at(50000), 5, false}};
  for (int threads = 1; threads <= 7; ++threads) {
    std::vector<int> asked(memory.size());
    std::vector<std::int64_t> of_first_region;
    for (int t = 0; t < threads; ++t) {
      const ReadAhead ahead(ranges, t, threads, 1 << 20);
      std::int64_t first = 0;
      for (const MemoryRange& r : ahead.left()) {
        const std::int64_t begin = static_cast<const char*>(r.data) - memory.data();
        for (std::int64_t i = begin; i < begin + r.bytes; ++i) ++asked[static_cast<std::size_t>(i)];
        if (begin < 20000) first += r.bytes;
      }
      of_first_region.push_back(first);
    }
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(memory.size()); ++i) {
      bool wanted = false;
      for (const MemoryRange& r : ranges) {
        const std::int64_t begin = static_cast<const char*>(r.data) - memory.data();
        wanted = wanted || (i >= begin && i < begin + r.bytes);
      }
      ASSERT_EQ(asked[static_cast<std::size_t>(i)], wanted ? 1 : 0) << threads << " threads, byte " << i;
    }
    for (const std::int64_t bytes : of_first_region) EXPECT_NEAR(static_cast<double>(bytes), 4000.0 / threads, 1);
  }
  std::int64_t bytes = 0;
  const ReadAhead bounded(ranges, 1, 2, 2200);
  for (const MemoryRange& r : bounded.left()) bytes += r.bytes;
  EXPECT_EQ(bytes, 2200);
}

TEST(ReadAhead, StepsEnd) {
  std::vector<char> memory(1000);
  const std::vector<MemoryRange> ranges{{memory.data(), 1000, false}, {memory.data(), 100, false}};
  ReadAhead ahead(ranges, 0, 1, 1 << 20);
  int steps = 0;
  while (ahead.step()) ++steps;
  EXPECT_EQ(steps, 4 + 1);
  EXPECT_TRUE(ahead.left().empty());
}

// A hint may come before any region, be replaced, outlive its memory, name more ranges than there is room for.
TEST(ThreadPool, ReadsAheadBetweenRegions) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 50; ++round) {
      std::vector<char> memory(30000);
      std::vector<MemoryRange> ranges;
      ranges.reserve(static_cast<std::size_t>(round));
      for (int i = 0; i < round; ++i) ranges.push_back({memory.data() + 100 * i, 100 + i, i % 3 != 0});
      pool.read_next(ranges);
      if (round % 4 == 0) pool.read_next({});
      memory = {};
      std::atomic<std::int64_t> steps{0};
      pool.run(9, [&](std::int64_t, int worker) { steps += pool.read_ahead(worker).step() ? 1 : 0; });
      EXPECT_EQ(steps > 0, threads > 1 && round > 0 && round % 4 != 0);
      EXPECT_EQ(counts_of(pool, 17), std::vector<int>(17, 1));
    }
  }
}

}  // namespace
}  // namespace hadal
