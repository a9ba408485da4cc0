// Buffers for kernel tests: typed at run time, between guard zones, at an address that no vector is aligned to. A
// kernel that writes beyond an end changes a zone; one that lets what lies there into its result gets NaN.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "tensor/dtype.h"

namespace hadal::test {

class Buffer {
 public:
  explicit Buffer(std::int64_t n, DType dtype = DType::f32)
      : n_(n), dtype_(dtype), bytes_((static_cast<std::size_t>(n) + 2 * kZone) * size_of(dtype), kMark) {
    std::memset(raw(), 0, static_cast<std::size_t>(n) * size_of(dtype));
  }
  // Normal numbers, among them zeros of both signs.
  static Buffer random(std::int64_t n, DType dtype, std::uint64_t seed, double scale = 1, double mean = 0) {
    Buffer b(n, dtype);
    std::mt19937_64 engine(seed);
    std::normal_distribution<double> normal(mean, scale);
    for (std::int64_t i = 0; i < n; ++i) {
      const double v = normal(engine);
      b.set(i, engine() % 16 != 0 ? v : engine() % 2 != 0 ? 0.0 : -0.0);
    }
    return b;
  }
  static Buffer integers(const std::vector<std::int32_t>& values) {
    Buffer b(static_cast<std::int64_t>(values.size()), DType::i32);
    std::memcpy(b.raw(), values.data(), values.size() * sizeof(std::int32_t));
    return b;
  }

  void* raw() { return bytes_.data() + kZone * size_of(dtype_); }
  const void* raw() const { return bytes_.data() + kZone * size_of(dtype_); }
  // The address of element i.
  void* at(std::int64_t i) { return static_cast<char*>(raw()) + i * static_cast<std::int64_t>(size_of(dtype_)); }
  const void* at(std::int64_t i) const { return const_cast<Buffer*>(this)->at(i); }
  template <class T = float>
  T* data() {
    return static_cast<T*>(raw());
  }
  template <class T = float>
  const T* data() const {
    return static_cast<const T*>(raw());
  }

  double get(std::int64_t i) const {
    switch (dtype_) {
      case DType::bf16:
        return static_cast<float>(data<bf16>()[i]);
      case DType::i32:
        return data<std::int32_t>()[i];
      case DType::f64:
        return data<double>()[i];
      default:
        return data<float>()[i];
    }
  }
  void set(std::int64_t i, double v) {
    switch (dtype_) {
      case DType::bf16:
        data<bf16>()[i] = bf16(static_cast<float>(v));
        break;
      case DType::i32:
        data<std::int32_t>()[i] = static_cast<std::int32_t>(v);
        break;
      case DType::f64:
        data<double>()[i] = v;
        break;
      default:
        data<float>()[i] = static_cast<float>(v);
    }
  }
  std::vector<double> values() const {
    std::vector<double> v;
    for (std::int64_t i = 0; i < n_; ++i) v.push_back(get(i));
    return v;
  }

  std::int64_t size() const { return n_; }
  DType dtype() const { return dtype_; }
  // Elements [first, first + n) as a buffer of their own.
  Buffer slice(std::int64_t first, std::int64_t n) const {
    Buffer b(n, dtype_);
    std::memcpy(b.raw(), at(first), static_cast<std::size_t>(n) * size_of(dtype_));
    return b;
  }
  bool intact() const {
    const std::size_t zone = kZone * size_of(dtype_);
    for (std::size_t i = 0; i < zone; ++i) {
      if (bytes_[i] != kMark || bytes_[bytes_.size() - 1 - i] != kMark) return false;
    }
    return true;
  }
  // The same bits, where any NaN equals any other.
  bool same_bits(const Buffer& o) const {
    if (n_ != o.n_ || dtype_ != o.dtype_) return false;
    for (std::int64_t i = 0; i < n_; ++i) {
      const bool nan = std::isnan(get(i)) && std::isnan(o.get(i));
      if (!nan && std::memcmp(at(i), o.at(i), size_of(dtype_)) != 0) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kZone = 67;
  static constexpr unsigned char kMark = 0xFF;
  std::int64_t n_;
  DType dtype_;
  std::vector<unsigned char> bytes_;
};

}  // namespace hadal::test
