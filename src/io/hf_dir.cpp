#include "io/hf_dir.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/json.h"
#include "base/model_folder.h"

namespace hadal::io {

namespace {

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

}  // namespace

bool has_weights(const fs::path& dir) { return fs::exists(dir / kSingle) || fs::exists(dir / kIndex); }

HfDir::HfDir(const fs::path& given) : dir_(model_folder(given)) {
  const fs::path& dir = dir_;
  if (!fs::is_directory(dir)) fail("{}: there is no such model folder", dir.string());
  if (!has_weights(dir)) fail("{}: neither {} nor {} is there", dir.string(), kSingle, kIndex);
  if (!fs::exists(dir / kSingle)) {
    read_index(dir / kIndex);
    return;
  }
  shards_.push_back(Safetensors::open(dir / kSingle));
  for (const std::string& name : shards_[0].names()) shard_of_[name] = 0;
}

void HfDir::read_index(const fs::path& index) {
  const json document = read_json(index);
  const JsonField map = JsonField(document, index.string()).at("weight_map");
  std::map<std::string, std::size_t> numbers;
  for (const auto& [name, file] : map.members()) {
    const std::string& shard = file.string();
    if (shard.empty() || shard.find('\0') != std::string::npos || shard == "." || shard == ".." ||
        fs::path(shard).filename() != shard) {
      fail("{}: the file of tensor '{}' is '{}': it must lie in the folder itself", index.string(), name, shard);
    }
    if (!numbers.contains(shard)) {
      if (!fs::exists(dir_ / shard)) {
        fail("{}: the shard {} of tensor '{}' is missing", dir_.string(), shard, name);
      }
      numbers[shard] = shards_.size();
      shards_.push_back(Safetensors::open(dir_ / shard));
    }
    if (!shards_[numbers[shard]].contains(name)) {
      fail("{}: tensor '{}' is not in {}, where the index says it is", dir_.string(), name, shard);
    }
    shard_of_[name] = numbers[shard];
  }
}

std::vector<std::string> HfDir::names() const {
  std::vector<std::string> result;
  result.reserve(shard_of_.size());
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

WeightsWriter::WeightsWriter(const fs::path& dir, std::vector<TensorSpec> specs, std::uint64_t max_shard_bytes)
    : dir_(dir), shards_(1) {
  std::uint64_t filled = 0;
  for (TensorSpec& t : specs) {
    const std::uint64_t bytes = t.bytes();
    if (!shards_.back().empty() && bytes > max_shard_bytes - std::min(filled, max_shard_bytes)) {
      shards_.emplace_back();
      filled = 0;
    }
    filled += bytes;
    shards_.back().push_back(std::move(t));
  }
  open_next();
}

std::string WeightsWriter::file_name(std::size_t shard) const {
  return shards_.size() == 1 ? kSingle : fmt::format("model-{:05}-of-{:05}.safetensors", shard + 1, shards_.size());
}

void WeightsWriter::open_next() {
  file_ = std::make_unique<SafetensorsWriter>(dir_ / file_name(shard_), shards_[shard_], Metadata{{"format", "pt"}});
}

void WeightsWriter::append(const std::string& name, const Tensor& tensor) {
  if (in_shard_ == shards_[shard_].size()) {
    file_->commit();
    ++shard_;
    in_shard_ = 0;
    HADAL_ASSERT(shard_ < shards_.size());
    open_next();
  }
  file_->append(name, tensor);
  ++in_shard_;
}

void WeightsWriter::commit() {
  HADAL_ASSERT(shard_ + 1 == shards_.size());
  file_->commit();
  if (shards_.size() > 1) write_index();
}

void WeightsWriter::write_index() const {
  nlohmann::json map = nlohmann::json::object();
  std::uint64_t total = 0;
  for (std::size_t s = 0; s < shards_.size(); ++s) {
    for (const TensorSpec& t : shards_[s]) {
      map[t.name] = file_name(s);
      total += t.bytes();
    }
  }
  const nlohmann::json index = {{"metadata", {{"total_size", total}}}, {"weight_map", std::move(map)}};
  write_file_atomically(dir_ / kIndex, index.dump(2) + "\n");
}

void copy_companions(const fs::path& given, const fs::path& to) {
  const fs::path from = model_folder(given);
  constexpr std::array kNames = {"tokenizer.json",
                                 "tokenizer_config.json",
                                 "special_tokens_map.json",
                                 "added_tokens.json",
                                 "vocab.json",
                                 "merges.txt",
                                 "tokenizer.model",
                                 "tiktoken.model",
                                 "chat_template.jinja",
                                 "chat_template.json",
                                 "generation_config.json"};
  for (const char* name : kNames) {
    if (fs::exists(from / name)) write_file_atomically(to / name, read_whole_file(from / name));
  }
}

}  // namespace hadal::io
