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
      EXPECT_GE(ran, bad == 99 ? 100 : 1);
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

}  // namespace
}  // namespace hadal
