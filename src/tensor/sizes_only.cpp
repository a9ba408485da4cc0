#include "tensor/sizes_only.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace hadal {

namespace {

thread_local SizesOnly* of_this_thread = nullptr;

}  // namespace

SizesOnly* SizesOnly::current() { return of_this_thread; }

SizesOnly::SizesOnly() {
  HADAL_ASSERT(of_this_thread == nullptr);
  of_this_thread = this;
}

SizesOnly::~SizesOnly() {
  of_this_thread = nullptr;
  for (const Region& r : regions_) (void)::munmap(r.at, r.bytes);
}

std::byte* SizesOnly::shared_address(std::size_t bytes) {
  if (regions_.empty() || regions_.back().bytes < bytes) {
    const std::size_t size = std::max(bytes, regions_.empty() ? std::size_t{1} << 20 : 2 * regions_.back().bytes);
    void* p = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    regions_.push_back({static_cast<std::byte*>(p), size});
  }
  return regions_.back().at;
}

std::size_t SizesOnly::made(std::size_t bytes) {
  count_.live += bytes;
  if (count_.live > count_.peak) {
    count_.peak = count_.live;
    peak_time_ = time_;
  }
  lives_.push_back({.bytes = bytes, .made = time_++});
  return lives_.size() - 1;
}

void SizesOnly::freed(std::size_t number) {
  lives_[number].freed = time_++;
  count_.live -= lives_[number].bytes;
}

std::size_t SizesOnly::alive_at_peak(const std::vector<std::size_t>& numbers) const {
  std::size_t bytes = 0;
  for (const std::size_t n : numbers) {
    if (lives_[n].made <= peak_time_ && lives_[n].freed > peak_time_) bytes += lives_[n].bytes;
  }
  return bytes;
}

}  // namespace hadal
