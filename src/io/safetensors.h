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
  // Checks the whole header: sizes, dtypes, shapes, offsets in range, no overlap, no duplicate. Throws Error.
  static Safetensors open(const std::filesystem::path& path);

  bool contains(const std::string& name) const { return tensors_.contains(name); }
  std::vector<std::string> names() const;  // sorted
  const TensorInfo& info(const std::string& name) const;  // Throws Error if there is none
  Tensor tensor(const std::string& name) const;           // a view of the map, or a copy if it lies unaligned
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::filesystem::path& path() const { return file_->path(); }

 private:
  std::shared_ptr<MappedFile> file_;
  std::size_t data_begin_ = 0;
  std::map<std::string, TensorInfo> tensors_;
  std::map<std::string, std::string> metadata_;
};

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

// Writes atomically, tensors in the given order. Throws Error for a duplicate name or a failed write.
void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors, const std::map<std::string, std::string>& metadata);

}  // namespace hadal::io
