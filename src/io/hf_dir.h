// The weights of a Hugging Face model folder: model.safetensors, or shards with model.safetensors.index.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/safetensors.h"

namespace hadal::io {

class HfDir {
 public:
  // A run (base/model_folder.h) is its newest checkpoint. Throws Error naming what is missing: the folder, its weights,
  // a shard, or a tensor that the index promises.
  explicit HfDir(const std::filesystem::path& given);

  const std::filesystem::path& path() const { return dir_; }
  bool contains(const std::string& name) const { return shard_of_.contains(name); }
  std::vector<std::string> names() const;        // sorted
  Tensor tensor(const std::string& name) const;  // throws Error if there is none
  const TensorInfo& info(const std::string& name) const;

 private:
  void read_index(const std::filesystem::path& index);

  std::filesystem::path dir_;
  std::vector<Safetensors> shards_;
  std::map<std::string, std::size_t> shard_of_;
};

// True if the folder holds weights that HfDir opens.
bool has_weights(const std::filesystem::path& dir);

constexpr std::uint64_t kOneFile = ~std::uint64_t{0};

// Writes the weights of a folder, tensor by tensor: one model.safetensors if they fit into max_shard_bytes, else shards
// of at most that (a larger tensor has one to itself) and, last of all, the index.
class WeightsWriter {
 public:
  WeightsWriter(const std::filesystem::path& dir, std::vector<TensorSpec> specs, std::uint64_t max_shard_bytes);
  void append(const std::string& name, const Tensor& tensor);  // in the order of `specs`
  void commit();

 private:
  std::string file_name(std::size_t shard) const;
  void open_next();
  void write_index() const;

  std::filesystem::path dir_;
  std::vector<std::vector<TensorSpec>> shards_;
  std::size_t shard_ = 0, in_shard_ = 0;
  std::unique_ptr<SafetensorsWriter> file_;
};

// Copies tokenizer files, chat template and generation_config.json, those that are there. Throws Error if one cannot be
// read.
void copy_companions(const std::filesystem::path& given, const std::filesystem::path& to);

}  // namespace hadal::io
