// Claims of tasks, and when a thread is left out.
#include "base/claims.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "base/parking.h"
#include "base/run_delay.h"

namespace hadal {
namespace {

std::vector<std::int64_t> all_of(Claims& claims, int thread) {
  std::vector<std::int64_t> tasks;
  const std::uint32_t epoch = claims.epoch();
  for (std::int64_t i = claims.claim(epoch, thread); i >= 0; i = claims.claim(epoch, thread)) tasks.push_back(i);
  return tasks;
}

TEST(Claims, OwnTaskFirstThenTheSharedOnesThenThoseOfOthers) {
  Claims claims(3);
  claims.begin(6);
  EXPECT_EQ(all_of(claims, 1), (std::vector<std::int64_t>{1, 3, 4, 5, 2, 0}));
  EXPECT_FALSE(claims.all_done());
  EXPECT_FALSE(claims.done(4));
  EXPECT_TRUE(claims.done(2));
  EXPECT_TRUE(claims.all_done());
}

TEST(Claims, FewerTasksThanThreads) {
  Claims claims(4);
  claims.begin(2);
  EXPECT_EQ(all_of(claims, 3), (std::vector<std::int64_t>{0, 1}));
  claims.done(2);
  claims.begin(3);
  EXPECT_EQ(all_of(claims, 2), (std::vector<std::int64_t>{2, 0, 1}));
}

// Whoever comes when its region is over gets nothing, whatever the next one looks like; epochs may go round meanwhile.
TEST(Claims, LateIsTooLate) {
  for (const std::uint32_t begin : {0U, 0x7FFFFFFEU, 0xFFFFFFFEU}) {
    for (const std::int64_t before : {1, 3, 4, 9}) {
      for (const std::int64_t after : {1, 2, 4, 50}) {
        Claims claims(4, begin);
        claims.begin(before);
        const std::uint32_t late = claims.epoch();
        EXPECT_EQ(all_of(claims, 0).size(), static_cast<std::size_t>(before));
        claims.done(before);
        for (int thread = 0; thread < 4; ++thread) EXPECT_EQ(claims.claim(late, thread), -1);
        claims.begin(after);
        for (int thread = 0; thread < 4; ++thread) EXPECT_EQ(claims.claim(late, thread), -1);
        EXPECT_EQ(all_of(claims, 2).size(), static_cast<std::size_t>(after));
      }
    }
  }
}

// One thread begins regions as fast as it can; the others come when they come.
TEST(Claims, EveryTaskOnceWhileThreadsComeLate) {
  constexpr int kThreads = 4;
  Claims claims(kThreads, 0xFFFFFF00U);
  std::vector<std::atomic<int>> runs(64);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 1; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      while (!stop) {
        const std::uint32_t epoch = claims.epoch();
        if (t == 3) std::this_thread::yield();
        for (std::int64_t i = claims.claim(epoch, t); i >= 0; i = claims.claim(epoch, t)) {
          ++runs[static_cast<std::size_t>(i)];
          claims.done(1);
        }
      }
    });
  }
  int bad = 0;
  for (std::int64_t region = 0; region < 20000; ++region) {
    const std::int64_t tasks = 1 + region * 7 % 63;
    for (auto& n : runs) n = 0;
    claims.begin(tasks);
    const std::uint32_t epoch = claims.epoch();
    for (std::int64_t i = claims.claim(epoch, 0); i >= 0; i = claims.claim(epoch, 0)) {
      ++runs[static_cast<std::size_t>(i)];
      claims.done(1);
    }
    while (!claims.all_done()) std::this_thread::yield();
    for (std::int64_t i = 0; i < 64; ++i) bad += runs[static_cast<std::size_t>(i)] != (i < tasks ? 1 : 0);
  }
  stop = true;
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(bad, 0);
}

constexpr std::int64_t kMs = 1'000'000;

TEST(Parking, WhoIsWaitedForLongerThanItHelps) {
  Parking p;
  const std::int64_t now = 1'000'000 * kMs;
  EXPECT_TRUE(p.waited(now, 4 * kMs, 3 * kMs));
  EXPECT_EQ(p.until(), now + Parking::kShortest);
}

TEST(Parking, NotForShortWaits) {
  Parking p;
  std::int64_t now = 0;
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(p.waited(now += 2 * kMs, Parking::kWait - 1, 0));
}

TEST(Parking, NotWhileItIsWorthTheWaits) {
  Parking p;
  std::int64_t now = 0;
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(p.waited(now += 10 * kMs, 3 * kMs, i % 4 == 3 ? 1 * kMs : 6 * kMs)) << i;
}

TEST(Parking, LongPeaceIsForgottenSoon) {
  Parking p;
  std::int64_t now = 0, waits = 0;
  EXPECT_FALSE(p.waited(now += 1000 * kMs, 4 * kMs, 1000 * kMs));
  while (!p.waited(now += 8 * kMs, 4 * kMs, 1 * kMs)) ASSERT_LT(++waits, 10);
}

TEST(Parking, LongerEachTimeItDoesNotHelp) {
  Parking p;
  std::int64_t now = 0, length = Parking::kShortest;
  ASSERT_TRUE(p.waited(now += 6 * kMs, 3 * kMs, 0));
  for (int i = 0; i < 8; ++i) {
    now = p.until() + 5 * kMs;
    ASSERT_TRUE(p.waited(now, 3 * kMs, 1 * kMs)) << i;
    length = std::min(2 * length, Parking::kLongest);
    EXPECT_EQ(p.until() - now, length);
  }
  now = p.until() + 10'000 * kMs;  // long at peace
  ASSERT_TRUE(p.waited(now, 3 * kMs, 0));
  EXPECT_EQ(p.until() - now, Parking::kShortest);
}

TEST(RunDelay, IsCountedOfAThreadThatExists) {
  const std::int64_t before = run_delay(gettid());  // -1, always, where the system does not tell
  EXPECT_GE(before, -1);
  EXPECT_GE(run_delay(gettid()), before);
  EXPECT_EQ(run_delay(-5), -1);
}

}  // namespace
}  // namespace hadal
