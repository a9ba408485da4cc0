// Decoding is bound by reading weights, and between two parallel regions threads wait: what the product after the next
// one reads is asked for meanwhile (ThreadPool::read_next). Nothing but time depends on it.
#pragma once

#include <array>

#include "kernels/context.h"
#include "tensor/tensor.h"

namespace hadal::nn {

class ReadNext {
 public:
  // What follows is read in a region of its own, after that of what came before.
  ReadNext& then() {
    joins_ = false;
    return *this;
  }
  ReadNext& weight(const Tensor& w) { return range(w.raw(), w.defined() ? static_cast<std::int64_t>(w.bytes()) : 0); }
  // Rows [begin, end) of a weight that is not packed.
  ReadNext& rows(const Tensor& w, std::int64_t begin, std::int64_t end) {
    const std::int64_t row = static_cast<std::int64_t>(w.bytes()) / w.size(0);
    return range(static_cast<const std::byte*>(w.raw()) + begin * row, (end - begin) * row);
  }
  // Of a stack (E, N, K) those that have rows: offsets (E + 1).
  ReadNext& experts(const Tensor& w, const Tensor& offsets);
  // To be called before the region in whose wake this is to be read.
  void after_next_region(const kernels::Context& cx) const {
    cx.pool().read_next(std::span(ranges_).first(static_cast<std::size_t>(count_)));
  }

 private:
  ReadNext& range(const void* data, std::int64_t bytes) {
    if (bytes > 0 && count_ < ReadAhead::kRanges) ranges_[static_cast<std::size_t>(count_++)] = {data, bytes, joins_};
    joins_ = true;
    return *this;
  }
  std::array<MemoryRange, ReadAhead::kRanges> ranges_;
  int count_ = 0;
  bool joins_ = false;
};

}  // namespace hadal::nn
