// The weights of a Hugging Face model folder: model.safetensors, or shards with model.safetensors.index.json.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "io/safetensors.h"

namespace hadal::io {

class HfDir {
 public:
  // Throws Error naming what is missing: the folder, its weights, a shard, or a tensor that the index promises.
  explicit HfDir(const std::filesystem::path& dir);

  const std::filesystem::path& path() const { return dir_; }
  bool contains(const std::string& name) const { return shard_of_.contains(name); }
  std::vector<std::string> names() const;
  Tensor tensor(const std::string& name) const;  // Throws Error if there is none
  const TensorInfo& info(const std::string& name) const;
  // Throws Error naming the first tensor that is not in `known`.
  void require_only(const std::vector<std::string>& known) const;

 private:
  std::filesystem::path dir_;
  std::vector<Safetensors> shards_;
  std::map<std::string, std::size_t> shard_of_;
};

}  // namespace hadal::io
