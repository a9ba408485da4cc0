// The sizes of a tensor's dimensions, outermost first. Lies in the tensor itself: a decoded token makes hundreds of
// tensors, and each of its sizes on the heap would be seen in its time.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "base/error.h"

namespace hadal {

class Shape {
 public:
  static constexpr std::size_t kMost = 6;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> sizes) {
    HADAL_ASSERT(sizes.size() <= kMost);
    std::copy(sizes.begin(), sizes.end(), sizes_.begin());
    count_ = sizes.size();
  }
  std::size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  std::int64_t& operator[](std::size_t i) { return sizes_[i]; }
  std::int64_t operator[](std::size_t i) const { return sizes_[i]; }
  const std::int64_t* begin() const { return sizes_.data(); }
  const std::int64_t* end() const { return sizes_.data() + count_; }
  std::int64_t front() const { return sizes_[0]; }
  std::int64_t back() const { return sizes_[count_ - 1]; }
  void push_back(std::int64_t n) {
    HADAL_ASSERT(count_ < kMost);
    sizes_[count_++] = n;
  }
  friend bool operator==(const Shape& a, const Shape& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

 private:
  std::array<std::int64_t, kMost> sizes_{};
  std::size_t count_ = 0;
};

std::string to_string(const Shape& shape);
std::int64_t numel(const Shape& shape);

}  // namespace hadal
