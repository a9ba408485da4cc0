#include "tensor/tensor.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "tensor/block_cache.h"
#include "tensor/sizes_only.h"

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

namespace {

std::atomic<std::size_t> live_bytes{0}, peak_bytes{0};

// Under a sanitizer (as gcc says it, as clang says it) every tensor is a block of the heap, which it watches.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HADAL_HEAP_IS_WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HADAL_HEAP_IS_WATCHED 1
#endif
#endif
#ifdef HADAL_HEAP_IS_WATCHED
constexpr bool kCached = false;
#else
constexpr bool kCached = true;
#endif

bool is_block(std::size_t bytes) { return kCached && bytes >= BlockCache::kSmallest; }

// Of the process, as the heap is; it outlives every tensor.
BlockCache& blocks() {
  static auto* cache = new BlockCache;
  return *cache;
}

// Aligned by hand, the block's own address in front of the data: aligned_alloc splits blocks and joins them again,
// which is a twentieth of the time of a decoded token.
std::byte* heap_memory(std::size_t bytes) {
  auto* block = static_cast<std::byte*>(std::malloc((bytes + 127) / 64 * 64));
  if (block == nullptr) throw std::bad_alloc();
  std::byte* data = block + (64 - reinterpret_cast<std::uintptr_t>(block) % 64);  // 16 bytes further at least
  std::memcpy(data - sizeof block, &block, sizeof block);
  return data;
}
void free_heap_memory(std::byte* data) {
  std::byte* block = nullptr;
  std::memcpy(&block, data - sizeof block, sizeof block);
  std::free(block);
}

void count(std::size_t bytes) {
  const std::size_t now = live_bytes.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  std::size_t most = peak_bytes.load(std::memory_order_relaxed);
  while (now > most && !peak_bytes.compare_exchange_weak(most, now, std::memory_order_relaxed)) {
  }
}

}  // namespace

MemoryCount tensor_memory() { return {live_bytes.load(), peak_bytes.load()}; }
void reset_tensor_peak() { peak_bytes.store(live_bytes.load()); }
std::size_t storage_bytes(std::size_t bytes) {
  return is_block(bytes) ? BlockCache::size_of_block(bytes) : (bytes + 127) / 64 * 64;
}

Storage::Storage(std::size_t bytes, bool real) : bytes_(bytes), sizes_(SizesOnly::current()) {
  if (sizes_ != nullptr) {
    constexpr std::size_t kLarge = 64 << 10;
    address_only_ = !real && bytes >= kLarge;
    data_ = address_only_ ? sizes_->shared_address(bytes) : heap_memory(bytes);
    if (!address_only_) std::memset(data_, 0, bytes);
    number_ = sizes_->made(storage_bytes(bytes));
    return;
  }
  data_ = is_block(bytes) ? blocks().take(bytes) : heap_memory(bytes);
  count(storage_bytes(bytes));
}

Storage::Storage(void* borrowed, std::size_t bytes, std::shared_ptr<const void> owner)
    : data_(static_cast<std::byte*>(borrowed)), bytes_(bytes), owned_(false), owner_(std::move(owner)) {}

Storage::~Storage() {
  if (owned_) drop();
}

void Storage::drop() {
  HADAL_ASSERT(owned_);
  if (data_ == nullptr) return;
  std::byte* const data = std::exchange(data_, nullptr);
  if (sizes_ != nullptr) {
    sizes_->freed(number_);
    if (!address_only_) free_heap_memory(data);
    return;
  }
  if (is_block(bytes_)) {
    blocks().give(data, bytes_);
  } else {
    free_heap_memory(data);
  }
  live_bytes.fetch_sub(storage_bytes(bytes_), std::memory_order_relaxed);
}

void Storage::adopt(Storage& other) {
  HADAL_ASSERT(data_ == nullptr && other.owned_ && other.data_ != nullptr && other.bytes_ == bytes_ &&
               other.address_only_ == address_only_);
  number_ = other.number_;
  data_ = std::exchange(other.data_, nullptr);
}

Tensor Tensor::empty(Shape shape, DType dtype) {
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = dtype;
  const bool integers = dtype == DType::i32 || dtype == DType::i64;
  t.storage_ = std::make_shared<Storage>(t.bytes(), integers);
  return t;
}

Tensor Tensor::zeros(Shape shape, DType dtype) {
  Tensor t = empty(shape, dtype);
  if (t.storage_->has_values()) std::memset(t.raw(), 0, t.bytes());
  return t;
}

Tensor Tensor::empty_packed(Shape shape, std::int64_t elements, DType dtype) {
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = dtype;
  t.packed_ = true;
  t.storage_ = std::make_shared<Storage>(static_cast<std::size_t>(elements) * size_of(dtype));
  return t;
}

Tensor Tensor::borrow(void* data, Shape shape, DType dtype, std::shared_ptr<const void> owner) {
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = dtype;
  t.storage_ = std::make_shared<Storage>(data, t.bytes(), std::move(owner));
  return t;
}

Tensor Tensor::view(Shape shape) const {
  if (hadal::numel(shape) != numel()) fail("[view] shape {} cannot be seen as {}", to_string(shape_), to_string(shape));
  HADAL_ASSERT(!packed_);
  Tensor t = detach();
  t.shape_ = shape;
  return t;
}

Tensor Tensor::rows(std::int64_t begin, std::int64_t end) const {
  HADAL_ASSERT(!packed_ && rank() >= 1 && begin >= 0 && begin <= end && end <= shape_[0]);
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

Tensor Tensor::shell() const {
  Tensor t = *this;
  t.storage_.reset();
  return t;
}

void Tensor::drop_memory() const { storage_->drop(); }

void Tensor::put_back(const Tensor& values) const {
  HADAL_ASSERT(values.shape_ == shape_ && values.dtype_ == dtype_ && offset_ == 0 && values.offset_ == 0);
  storage_->adopt(*values.storage_);
}

Tensor Tensor::clone() const {
  HADAL_ASSERT(!packed_);
  Tensor t = empty(shape_, dtype_);
  t.copy_from(*this);
  return t;
}

void Tensor::copy_from(const Tensor& other) const {
  HADAL_ASSERT(other.shape_ == shape_ && other.dtype_ == dtype_);
  if (storage_->has_values() && other.storage_->has_values()) std::memcpy(raw(), other.raw(), bytes());
}

}  // namespace hadal
