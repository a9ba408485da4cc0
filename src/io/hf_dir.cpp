#include "io/hf_dir.h"

#include <set>

#include "base/error.h"
#include "base/json.h"

namespace hadal::io {

HfDir::HfDir(const std::filesystem::path& dir) : dir_(dir) {
  if (!fs::is_directory(dir)) fail("{}: there is no such model folder", dir.string());
  const fs::path single = dir / "model.safetensors", index = dir / "model.safetensors.index.json";
  if (fs::exists(single)) {
    shards_.push_back(Safetensors::open(single));
    for (const std::string& name : shards_[0].names()) shard_of_[name] = 0;
    return;
  }
  if (!fs::exists(index)) fail("{}: neither model.safetensors nor model.safetensors.index.json is there", dir.string());
  const json j = read_json(index);
  if (!j.contains("weight_map") || !j["weight_map"].is_object()) fail("{}: must have an object 'weight_map'", index.string());
  std::map<std::string, std::size_t> numbers;
  for (const auto& [name, file] : j["weight_map"].items()) {
    if (!file.is_string()) fail("{}: the file of tensor '{}' must be a string", index.string(), name);
    const auto shard = file.get<std::string>();
    if (!numbers.contains(shard)) {
      numbers[shard] = shards_.size();
      shards_.push_back(Safetensors::open(dir / shard));
    }
    if (!shards_[numbers[shard]].contains(name)) fail("{}: tensor '{}' is not in {}, where the index says it is", dir.string(), name, shard);
    shard_of_[name] = numbers[shard];
  }
}

std::vector<std::string> HfDir::names() const {
  std::vector<std::string> result;
  for (const auto& [name, shard] : shard_of_) result.push_back(name);
  return result;
}

const TensorInfo& HfDir::info(const std::string& name) const {
  const auto it = shard_of_.find(name);
  if (it == shard_of_.end()) fail("{}: tensor '{}' is missing", dir_.string(), name);
  return shards_[it->second].info(name);
}

Tensor HfDir::tensor(const std::string& name) const {
  info(name);
  return shards_[shard_of_.at(name)].tensor(name);
}

void HfDir::require_only(const std::vector<std::string>& known) const {
  const std::set<std::string> set(known.begin(), known.end());
  for (const auto& [name, shard] : shard_of_) {
    if (!set.contains(name)) fail("{}: unexpected tensor '{}': the config has no place for it", dir_.string(), name);
  }
}

}  // namespace hadal::io
