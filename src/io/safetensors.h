// safetensors files: 8 bytes of header length, a JSON header, raw little-endian data.
// Readers borrow from a memory map; errors name the file and the tensor.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "tensor/tensor.h"

namespace hadal::io {

struct TensorInfo {
  DType dtype = DType::f32;
  Shape shape;
  std::size_t begin = 0, end = 0;  // bytes in the data part
};

class Safetensors {
 public:
  // Checks the whole header: sizes, dtypes, shapes, no duplicate, data covered without overlap, hole or rest. Throws
  // Error.
  static Safetensors open(const std::filesystem::path& path);

  bool contains(const std::string& name) const { return tensors_.contains(name); }
  std::vector<std::string> names() const;                 // sorted
  const TensorInfo& info(const std::string& name) const;  // Throws Error if there is none
  Tensor tensor(const std::string& name) const;           // a view of the map, or a copy if it lies unaligned
  void release(const std::string& name) const;            // its values have been copied: see MappedFile::release
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::filesystem::path& path() const { return file_->path(); }

 private:
  std::shared_ptr<MappedFile> file_;
  std::size_t data_begin_ = 0;
  std::map<std::string, TensorInfo> tensors_;
  std::map<std::string, std::string> metadata_;
};

// What a file will hold, known before its data.
struct TensorSpec {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::size_t bytes() const { return static_cast<std::size_t>(numel(shape)) * size_of(dtype); }
};

using Metadata = std::map<std::string, std::string>;
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

// Writes one file, tensor by tensor, so that only one of them is in memory. Without commit() nothing is left behind.
class SafetensorsWriter {
 public:
  // Writes the header. Throws Error for a duplicate name or a failed write.
  SafetensorsWriter(const std::filesystem::path& path, std::vector<TensorSpec> specs, const Metadata& metadata);
  // The next tensor of `specs`. Throws std::logic_error if name, dtype or shape are not what was announced.
  void append(const std::string& name, const Tensor& tensor);
  void commit();  // throws std::logic_error if a tensor is still missing

 private:
  AtomicFile file_;
  std::vector<TensorSpec> specs_;
  std::size_t next_ = 0;
};

// Writes atomically, tensors in the given order.
void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors, const Metadata& metadata);

}  // namespace hadal::io
