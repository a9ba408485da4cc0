// Carves arrays out of one scratch buffer: measure with a null base, then carve with the real one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hadal::kernels::HADAL_ISA_NS {

class Carver {
 public:
  explicit Carver(void* base) : base_(static_cast<std::byte*>(base)) {}
  template <class T>
  T* take(std::int64_t n) {
    T* p = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + used_);
    used_ += (static_cast<std::size_t>(n) * sizeof(T) + 63) / 64 * 64;
    return p;
  }
  std::size_t used() const { return used_; }

 private:
  std::byte* base_;
  std::size_t used_ = 0;
};

}  // namespace hadal::kernels::HADAL_ISA_NS
