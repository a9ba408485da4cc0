// How threads share numbered pieces of work of about equal size.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>

#include "kernels/kernels.h"

namespace hadal::kernels::HADAL_ISA_NS {

struct Granules {
  i64 begin = 0, end = 0;
};

// The granules that a task has yet to do. It takes the first ones; threads that are done with their own take the last
// ones, but only once the task has begun: one whose thread has not come is claimed whole, and done in the order of its
// memory. Whoever does a granule, the result is the same.
class alignas(64) Share {
 public:
  void set(i64 begin, i64 end) { left_.store(both(begin, end), std::memory_order_relaxed); }
  void begin() { begun_.store(true, std::memory_order_relaxed); }
  bool begun() const { return begun_.load(std::memory_order_relaxed); }
  // Up to `most` granules.
  Granules take_first(i64 most) {
    return take([most](Granules left) {
      const i64 to = std::min(left.end, left.begin + most);
      return std::array{Granules{left.begin, to}, Granules{to, left.end}};
    });
  }
  // Half of what is left, but no more than `most`.
  Granules take_last(i64 most) {
    return take([most](Granules left) {
      const i64 from = left.end - std::min(most, (left.end - left.begin + 1) / 2);
      return std::array{Granules{from, left.end}, Granules{left.begin, from}};
    });
  }

  i64 end() const { return static_cast<i64>(left_.load(std::memory_order_relaxed) >> 32U); }

 private:
  static std::uint64_t both(i64 begin, i64 end) {
    return static_cast<std::uint64_t>(begin) | static_cast<std::uint64_t>(end) << 32U;
  }
  // choose(left) = what is taken, and what is left.
  template <class Choose>
  Granules take(Choose choose) {
    std::uint64_t left = left_.load(std::memory_order_relaxed);
    for (;;) {
      const Granules all{static_cast<i64>(left & 0xFFFFFFFFU), static_cast<i64>(left >> 32U)};
      if (all.begin >= all.end) return {};
      const auto [taken, rest] = choose(all);
      if (left_.compare_exchange_weak(left, both(rest.begin, rest.end), std::memory_order_relaxed)) return taken;
    }
  }
  std::atomic<std::uint64_t> left_{0};
  std::atomic<bool> begun_{false};
};

}  // namespace hadal::kernels::HADAL_ISA_NS
