#include "tensor/tensor.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace hadal {

std::string to_string(const Shape& shape) {
  std::string s = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) s += fmt::format("{}{}", i > 0 ? ", " : "", shape[i]);
  return s + ")";
}

std::int64_t numel(const Shape& shape) {
  std::int64_t n = 1;
  for (const std::int64_t d : shape) n *= d;
  return n;
}

Storage::Storage(std::size_t bytes) : bytes_(bytes) {
  const std::size_t rounded = (bytes + 127) / 64 * 64;
  data_ = static_cast<std::byte*>(std::aligned_alloc(64, rounded));
  if (data_ == nullptr) throw std::bad_alloc();
}

Storage::Storage(void* borrowed, std::size_t bytes, std::shared_ptr<const void> owner)
    : data_(static_cast<std::byte*>(borrowed)), bytes_(bytes), owned_(false), owner_(std::move(owner)) {}

Storage::~Storage() {
  if (owned_) std::free(data_);
}

Tensor Tensor::empty(Shape shape, DType dtype) {
  Tensor t;
  t.shape_ = std::move(shape);
  t.dtype_ = dtype;
  t.storage_ = std::make_shared<Storage>(t.bytes());
  return t;
}

Tensor Tensor::zeros(Shape shape, DType dtype) {
  Tensor t = empty(std::move(shape), dtype);
  std::memset(t.raw(), 0, t.bytes());
  return t;
}

Tensor Tensor::borrow(void* data, Shape shape, DType dtype, std::shared_ptr<const void> owner) {
  Tensor t;
  t.shape_ = std::move(shape);
  t.dtype_ = dtype;
  t.storage_ = std::make_shared<Storage>(data, t.bytes(), std::move(owner));
  return t;
}

Tensor Tensor::view(Shape shape) const {
  if (hadal::numel(shape) != numel()) fail("[view] shape {} cannot be seen as {}", to_string(shape_), to_string(shape));
  Tensor t = detach();
  t.shape_ = std::move(shape);
  return t;
}

Tensor Tensor::rows(std::int64_t begin, std::int64_t end) const {
  HADAL_ASSERT(rank() >= 1 && begin >= 0 && begin <= end && end <= shape_[0]);
  Tensor t = detach();
  t.shape_[0] = end - begin;
  const std::int64_t row = shape_[0] > 0 ? numel() / shape_[0] : 0;
  t.offset_ += static_cast<std::size_t>(begin * row) * size_of(dtype_);
  return t;
}

Tensor Tensor::detach() const {
  Tensor t = *this;
  t.node_.reset();
  return t;
}

Tensor Tensor::clone() const {
  Tensor t = empty(shape_, dtype_);
  std::memcpy(t.raw(), raw(), bytes());
  return t;
}

}  // namespace hadal
