// A walk over the same code without its memory: what a plan counts with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace hadal {

// While one exists, the tensors that this thread makes are counted here, and the large ones of floating-point numbers
// have an address that they all share in place of memory of their own: their values mean nothing. Kernels must then be
// those of kernels/dry.h. Small tensors and integers are real, zero at first. Must outlive those tensors; one at a time
// a thread.
class SizesOnly {
 public:
  SizesOnly();
  ~SizesOnly();
  SizesOnly(const SizesOnly&) = delete;
  SizesOnly& operator=(const SizesOnly&) = delete;

  MemoryCount count() const { return count_; }
  void reset_peak() { count_.peak = count_.live; }
  // Bytes of those storages (Tensor::storage_number) that were alive when the count was at its peak.
  std::size_t alive_at_peak(const std::vector<std::size_t>& numbers) const;

  // For Storage: the one of this thread, or null.
  static SizesOnly* current();
  std::byte* shared_address(std::size_t bytes);
  std::size_t made(std::size_t bytes);  // returns its number
  void freed(std::size_t number);

 private:
  struct Life {
    std::size_t bytes = 0, made = 0, freed = SIZE_MAX;  // times are counted in makings and freeings
  };
  struct Region {
    std::byte* at;
    std::size_t bytes;
  };
  MemoryCount count_;
  std::size_t time_ = 0, peak_time_ = 0;
  std::vector<Life> lives_;  // of every storage
  std::vector<Region> regions_;
};

}  // namespace hadal
