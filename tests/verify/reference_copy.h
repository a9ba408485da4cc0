// The stored models, and a copy of a reference file in which single tensors are changed and put back.
#pragma once

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "kernels/context.h"
#include "verify/compare.h"

namespace hadal::test {

inline std::vector<std::string> stored_models() {
  std::vector<std::string> names;
  for (const auto& e : std::filesystem::directory_iterator(std::filesystem::path(HADAL_TEST_DATA) / "models"))
    if (std::filesystem::exists(e.path() / "reference.safetensors")) names.push_back(e.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

inline std::filesystem::path stored_model(const std::string& name) {
  return std::filesystem::path(HADAL_TEST_DATA) / "models" / name;
}

// Threads and kernels of a replay.
struct Machine {
  explicit Machine(int threads, kernels::Isa isa = kernels::default_isa()) : pool(threads), cx(pool, isa) {}
  ThreadPool pool;
  kernels::Context cx;
};

// Every tensor of a safetensors file; some may be left out, others added.
struct Contents {
  io::NamedTensors tensors;
  io::Metadata metadata;

  explicit Contents(const std::filesystem::path& path) {
    const io::Safetensors file = io::Safetensors::open(path);
    for (const std::string& name : file.names()) tensors.emplace_back(name, file.tensor(name));
    metadata = file.metadata();
  }
  void drop(const std::string& name) {
    std::erase_if(tensors, [&](const auto& t) { return t.first == name; });
  }
  void write(const std::filesystem::path& path) const { io::write_safetensors(path, tensors, metadata); }
};

// A copy of a file whose tensors' bytes can be overwritten in place.
class ReferenceCopy {
 public:
  ReferenceCopy(const std::filesystem::path& from, const std::filesystem::path& to) : path_(to) {
    std::filesystem::copy_file(from, to);
    std::filesystem::permissions(to, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    std::uint64_t header = 0;
    std::ifstream in(from, std::ios::binary);
    in.read(reinterpret_cast<char*>(&header), sizeof header);
    data_begin_ = static_cast<std::streamoff>(sizeof header + header);
  }
  // The tensor's elements become `values`, in the dtype that the file has.
  void write(const std::string& name, const std::vector<double>& values) {
    const io::TensorInfo info = io::Safetensors::open(path_).info(name);
    std::vector<char> bytes(info.end - info.begin);
    const auto put = [&]<class T>(T) {
      if (values.size() * sizeof(T) != bytes.size()) fail("{} has {} bytes", name, bytes.size());
      for (std::size_t i = 0; i < values.size(); ++i) {
        const T v = static_cast<T>(values[i]);
        std::memcpy(bytes.data() + i * sizeof(T), &v, sizeof(T));
      }
    };
    if (info.dtype == DType::f32) {
      put(float{});
    } else if (info.dtype == DType::f64) {
      put(double{});
    } else if (info.dtype == DType::i64) {
      put(std::int64_t{});
    } else {
      fail("{} has the unexpected type {}", name, name_of(info.dtype));
    }
    std::fstream out(path_, std::ios::binary | std::ios::in | std::ios::out);
    out.seekp(data_begin_ + static_cast<std::streamoff>(info.begin));
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!out.flush()) fail("cannot write {}", path_.string());
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::streamoff data_begin_ = 0;
};

}  // namespace hadal::test
