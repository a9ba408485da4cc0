// When a thread of a pool is better left out: another process takes its core away inside a task, and all others wait
// for some milliseconds. Twice in a short time, and the pool does without it for a while.
#pragma once

#include <algorithm>
#include <cstdint>

namespace hadal {

// One thread's. Times in nanoseconds, from any one clock.
class Parking {
 public:
  static constexpr std::int64_t kWait = 1'000'000;  // tasks are shorter: whoever is waited for longer has lost its core
  static constexpr std::int64_t kShortest = 10'000'000, kLongest = 200'000'000;

  // At the end of a region others have waited `ns` for this thread. True: it is to be left out until until().
  bool waited(std::int64_t now, std::int64_t ns) {
    if (ns < kWait) return false;
    const bool back = now - until_ < kBack;  // it was left out a moment ago: once is enough
    const std::int64_t since = std::max(last_, until_);
    last_ = now;
    // With a core of its own for most of the time it is worth the waits.
    if ((!back && now - since > kBetween) || kShare * ns < now - since) return false;
    length_ = back ? std::min(2 * length_, kLongest) : kShortest;
    until_ = now + length_;
    return true;
  }

  std::int64_t until() const { return until_; }

 private:
  static constexpr std::int64_t kBetween = 100'000'000, kBack = 50'000'000, kShare = 3;
  std::int64_t last_ = -kBetween - 1, until_ = -kBack - 1, length_ = kShortest;
};

}  // namespace hadal
