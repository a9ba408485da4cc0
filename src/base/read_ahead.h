// Memory asked for before it is used, a few lines at a time, while a thread waits or computes. A hint: nothing but time
// depends on it, and the memory may be freed meanwhile.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

namespace hadal {

struct MemoryRange {
  const void* data = nullptr;
  std::int64_t bytes = 0;
  bool joins = false;  // read in the same parallel region as the range before it
};

// One thread's share of some ranges: of those that are read in one region put end to end, one of `threads` stretches.
class ReadAhead {
 public:
  static constexpr int kRanges = 16;
  static constexpr int kLines = 4;  // of a step

  ReadAhead() = default;
  // At most kRanges ranges; no more than `most` bytes are asked for.
  ReadAhead(std::span<const MemoryRange> ranges, int thread, int threads, std::int64_t most) {
    while (!ranges.empty()) {
      std::size_t count = 1;
      while (count < ranges.size() && ranges[count].joins) ++count;
      region(ranges.first(count), thread, threads, most);
      ranges = ranges.subspan(count);
    }
  }
  // Asks for the next lines of 64 bytes; false if there are none.
  bool step() {
    if (at_ == count_) return false;
    MemoryRange& part = parts_[static_cast<std::size_t>(at_)];
    const auto* line = static_cast<const char*>(part.data);
    for (int i = 0; i < kLines; ++i) __builtin_prefetch(line + i * 64, 0, 2);
    part.data = line + 64 * kLines;
    part.bytes -= 64 * kLines;
    if (part.bytes <= 0) ++at_;
    return true;
  }

  // What has not been asked for.
  std::span<const MemoryRange> left() const {
    return std::span(parts_).subspan(static_cast<std::size_t>(at_), static_cast<std::size_t>(count_ - at_));
  }

 private:
  void region(std::span<const MemoryRange> ranges, int thread, int threads, std::int64_t& most) {
    std::int64_t all = 0;
    for (const MemoryRange& r : ranges) all += r.bytes;
    std::int64_t begin = all * thread / threads, end = all * (thread + 1) / threads;
    for (const MemoryRange& r : ranges) {
      const std::int64_t from = std::max<std::int64_t>(begin, 0), bytes = std::min({end, r.bytes, from + most}) - from;
      if (bytes > 0) {
        parts_[static_cast<std::size_t>(count_++)] = {static_cast<const char*>(r.data) + from, bytes};
        most -= bytes;
      }
      begin -= r.bytes;
      end -= r.bytes;
    }
  }

  std::array<MemoryRange, kRanges> parts_;
  int at_ = 0, count_ = 0;
};

}  // namespace hadal
