// What the system tells of a thread that waits for a core.
#include "base/run_delay.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace hadal {
namespace {

// This thread, and all that it starts, on one core until the end.
class OneCore {
 public:
  OneCore() {
    CPU_ZERO(&before_);
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(sched_getcpu()), &one);
    sched_setaffinity(0, sizeof one, &one);
  }
  ~OneCore() { sched_setaffinity(0, sizeof before_, &before_); }
  OneCore(const OneCore&) = delete;
  OneCore& operator=(const OneCore&) = delete;

 private:
  cpu_set_t before_;
};

TEST(RunDelay, GrowsWhereTwoThreadsWantOneCore) {
  const OneCore here;
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop.load()) {
    }
  });
  const std::int64_t before = run_delay(gettid());
  const std::atomic<bool> go_on{false};
  // A turn of the system's may outlast one trial, but not many.
  bool shares = false;
  for (int i = 0; i < 1000 && !shares; ++i) shares = shares_its_core(go_on);
  stop = true;
  other.join();
  EXPECT_TRUE(shares);
  EXPECT_GE(before, 0);
  EXPECT_GT(run_delay(gettid()), before);
}

TEST(RunDelay, ATrialEndsWhenItIsToldTo) {
  const std::atomic<bool> stop{true};
  EXPECT_FALSE(shares_its_core(stop));
}

TEST(RunDelay, NoSuchThread) { EXPECT_EQ(run_delay(0), -1); }

}  // namespace
}  // namespace hadal
