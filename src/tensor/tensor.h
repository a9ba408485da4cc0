// Tensor: a contiguous, row-major view of shared storage, with an optional autograd node. No maths lives here.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace hadal {

namespace autograd {
struct Node;
}
class SizesOnly;

// 64-byte aligned memory, large blocks from a BlockCache; or borrowed memory kept alive by `owner` (a memory map, say);
// or, under a SizesOnly, an address alone unless `real`.
class Storage {
 public:
  explicit Storage(std::size_t bytes, bool real = false);
  Storage(void* borrowed, std::size_t bytes, std::shared_ptr<const void> owner);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  // Frees owned memory and keeps its place: data() is null until adopt().
  void drop();
  // Takes the memory of `other`, which must own as many bytes, in place of what was dropped.
  void adopt(Storage& other);
  // False: values mean nothing, and need not be copied.
  bool has_values() const { return !address_only_; }
  std::size_t number() const { return number_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  bool owned_ = true, address_only_ = false;
  SizesOnly* sizes_ = nullptr;  // that counts it
  std::size_t number_ = 0;      // there
  std::shared_ptr<const void> owner_;
};

// Memory that Storage owns at this moment, and the most since the start or the last reset: what a test or a plan
// compares with. Counts of the process; nothing is decided by them.
struct MemoryCount {
  std::size_t live = 0, peak = 0;  // bytes
};
MemoryCount tensor_memory();
// What a Storage of so many bytes counts as.
std::size_t storage_bytes(std::size_t bytes);
void reset_tensor_peak();  // peak = live

class Tensor {
 public:
  Tensor() = default;
  static Tensor empty(Shape shape, DType dtype);
  static Tensor zeros(Shape shape, DType dtype);
  // A weight (n, k) or a stack (E, n, k) whose memory, `elements` in all, is laid out for serving (kernels/packed.h):
  // ops::pack makes it, products take it through raw(). It is never seen as rows.
  static Tensor empty_packed(Shape shape, std::int64_t elements, DType dtype);
  // Wraps memory that `owner` keeps alive; `data` must be aligned for `dtype`.
  static Tensor borrow(void* data, Shape shape, DType dtype, std::shared_ptr<const void> owner);
  template <class T>
  static Tensor of(std::span<const T> values, Shape shape) {
    Tensor t = empty(shape, dtype_of<T>::value);
    HADAL_ASSERT(static_cast<std::int64_t>(values.size()) == t.numel());
    std::copy(values.begin(), values.end(), t.data<T>());
    return t;
  }

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  std::int64_t size(int dim) const {
    return shape_[dim < 0 ? shape_.size() + static_cast<std::size_t>(dim) : static_cast<std::size_t>(dim)];
  }
  bool packed() const { return packed_; }
  int rank() const { return static_cast<int>(shape_.size()); }
  std::int64_t numel() const { return hadal::numel(shape_); }
  DType dtype() const { return dtype_; }
  std::size_t bytes() const { return static_cast<std::size_t>(numel()) * size_of(dtype_); }

  void* raw() const { return storage_ ? storage_->data() + offset_ : nullptr; }
  // Throws std::logic_error if T is not the tensor's element type.
  template <class T>
  T* data() const {
    HADAL_ASSERT(dtype_of<T>::value == dtype_ && !packed_);
    return static_cast<T*>(raw());
  }
  template <class T>
  std::span<T> span() const {
    return {data<T>(), static_cast<std::size_t>(numel())};
  }

  // Views of the same storage; they carry no autograd node.
  Tensor view(Shape shape) const;
  Tensor rows(std::int64_t begin, std::int64_t end) const;  // along the first dimension
  Tensor detach() const;
  Tensor clone() const;
  // The values of a tensor of the same shape and dtype.
  void copy_from(const Tensor& other) const;
  // Shape, dtype and node without the memory: what a backward keeps of an operand whose values it does not read.
  Tensor shell() const;
  // The memory of all views of this storage goes; put_back() brings it from a tensor of equal bytes. See
  // autograd::forget.
  void drop_memory() const;
  void put_back(const Tensor& values) const;
  std::size_t storage_number() const { return storage_->number(); }
  // True if no other tensor shares this one's storage.
  bool exclusive() const { return storage_ && storage_.use_count() == 1; }

  // The autograd node of the value, null when it depends on nothing that is watched.
  const std::shared_ptr<autograd::Node>& node() const { return node_; }
  void set_node(std::shared_ptr<autograd::Node> node) { node_ = std::move(node); }

 private:
  std::shared_ptr<Storage> storage_;
  std::size_t offset_ = 0;
  Shape shape_;
  DType dtype_ = DType::f32;
  bool packed_ = false;
  std::shared_ptr<autograd::Node> node_;
};

}  // namespace hadal
