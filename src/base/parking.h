// When a thread of a pool is better left out: other processes want its core, and all wait for it longer than it helps.
// It is then left out for a while.
#pragma once

#include <algorithm>
#include <cstdint>

namespace hadal {

// One thread's. Times in nanoseconds, from any one clock.
class Parking {
 public:
  static constexpr std::int64_t kWait = 1'000'000;  // tasks are shorter: whoever is waited for longer has lost its core
  static constexpr std::int64_t kShortest = 20'000'000, kLongest = 800'000'000;

  // The others have waited `ns` for this thread, which has worked for `helped` since the last time. True: it is to be
  // left out until until().
  bool waited(std::int64_t now, std::int64_t ns, std::int64_t helped) {
    if (ns < kWait) return false;
    // Sums in which what was long ago counts for little.
    waits_ += ns - waits_ / kMemory;
    helps_ += std::min(helped, kMost) - helps_ / kMemory;
    if (helps_ > waits_) return false;
    const bool again = now - until_ < std::max(kBack, length_);  // it was left out a moment ago
    length_ = again ? std::min(2 * length_, kLongest) : kShortest;
    until_ = now + length_;
    return true;
  }

  std::int64_t until() const { return until_; }

 private:
  static constexpr std::int64_t kBack = 100'000'000, kMemory = 4, kMost = 20'000'000;
  std::int64_t until_ = -kBack - 1, length_ = 0;
  std::int64_t waits_ = 0, helps_ = 0;
};

}  // namespace hadal
