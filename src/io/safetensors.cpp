#include "io/safetensors.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/error.h"
#include "base/json.h"

namespace hadal::io {

namespace {

struct TypeName {
  std::string_view name;
  DType dtype;
};
constexpr TypeName kTypes[] = {{"F32", DType::f32}, {"BF16", DType::bf16},       {"F16", DType::f16},
                               {"F64", DType::f64}, {"I32", DType::i32},         {"I64", DType::i64},
                               {"U8", DType::u8},   {"F8_E4M3", DType::f8_e4m3}, {"F8_E5M2", DType::f8_e5m2}};
constexpr std::uint64_t kMostHeader = 100u << 20;
constexpr std::uint64_t kMostElements = std::uint64_t{1} << 48;

DType type_of(const std::string& name, const std::string& where) {
  for (const TypeName& t : kTypes) {
    if (t.name == name) return t.dtype;
  }
  fail("{} has the dtype '{}': known are F32, BF16, F16, F64, I32, I64, U8, F8_E4M3, F8_E5M2", where, name);
}

std::string_view name_of_type(DType dtype) {
  for (const TypeName& t : kTypes) {
    if (t.dtype == dtype) return t.name;
  }
  HADAL_ASSERT(false);
  return "";
}

std::uint64_t unsigned_number(const json& value, const std::string& where, std::string_view what) {
  if (!value.is_number_unsigned()) fail("{}: {} must be non-negative integers", where, what);
  return value.get<std::uint64_t>();
}

TensorInfo read_info(const json& entry, const std::string& where, std::size_t data_bytes) {
  if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") || !entry.contains("data_offsets") ||
      !entry["dtype"].is_string() || !entry["shape"].is_array() || !entry["data_offsets"].is_array() ||
      entry["data_offsets"].size() != 2) {
    fail("{}: must have dtype, shape and two data_offsets", where);
  }
  TensorInfo info;
  info.dtype = type_of(entry["dtype"].get<std::string>(), where);
  std::uint64_t elements = 1;
  if (entry["shape"].size() > Shape::kMost) {
    fail("{}: its shape has {} dimensions: there may be {}", where, entry["shape"].size(), Shape::kMost);
  }
  for (const json& d : entry["shape"]) {
    const std::uint64_t n = unsigned_number(d, where, "the sizes of its shape");
    if (n > kMostElements || (n > 0 && elements > kMostElements / n)) fail("{}: its shape is too large", where);
    elements *= n;
    info.shape.push_back(static_cast<std::int64_t>(n));
  }
  info.begin = unsigned_number(entry["data_offsets"][0], where, "data_offsets");
  info.end = unsigned_number(entry["data_offsets"][1], where, "data_offsets");
  if (info.begin > info.end || info.end > data_bytes) {
    fail("{}: data_offsets [{}, {}) lie outside of the file's {} data bytes: the file is truncated or damaged", where,
         info.begin, info.end, data_bytes);
  }
  if (info.end - info.begin != elements * size_of(info.dtype)) {
    fail("{}: shape {} of {} needs {} bytes, data_offsets give {}", where, to_string(info.shape), name_of(info.dtype),
         elements * size_of(info.dtype), info.end - info.begin);
  }
  return info;
}

// The format allows neither overlaps nor holes nor bytes after the last tensor: all of them are signs of damage.
void check_coverage(const std::map<std::string, TensorInfo>& tensors, const std::string& file, std::size_t data_bytes) {
  std::vector<std::pair<const std::string*, const TensorInfo*>> order;
  order.reserve(tensors.size());
  for (const auto& [name, info] : tensors) order.emplace_back(&name, &info);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second->begin, a.second->end) < std::pair(b.second->begin, b.second->end);
  });
  std::size_t end = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto& [name, info] = order[i];
    if (info->begin < end) fail("{}: tensors '{}' and '{}' overlap", file, *order[i - 1].first, *name);
    if (info->begin > end) fail("{}: bytes {} to {} before tensor '{}' belong to none", file, end, info->begin, *name);
    end = info->end;
  }
  if (end != data_bytes) fail("{}: {} bytes after the last tensor belong to none", file, data_bytes - end);
}

}  // namespace

Safetensors Safetensors::open(const std::filesystem::path& path) {
  Safetensors s;
  s.file_ = std::make_shared<MappedFile>(path);
  const std::span<const std::byte> bytes = s.file_->bytes();
  const std::string file = path.string();
  std::uint64_t length = 0;
  if (bytes.size() < 8) fail("{}: {} bytes are too few for a safetensors file", file, bytes.size());
  std::memcpy(&length, bytes.data(), 8);
  if (length > kMostHeader || length > bytes.size() - 8) {
    fail("{}: not a safetensors file, or truncated: a header of {} bytes is announced, the file has {}", file, length,
         bytes.size());
  }
  s.data_begin_ = 8 + length;
  const json header = parse_json({reinterpret_cast<const char*>(bytes.data()) + 8, length}, file + ": the header");
  if (!header.is_object()) fail("{}: the safetensors header must be a JSON object", file);
  for (const auto& [name, entry] : header.items()) {
    if (name != "__metadata__") {
      s.tensors_[name] =
          read_info(entry, fmt::format("{}: tensor '{}'", file, shown(name)), bytes.size() - s.data_begin_);
      continue;
    }
    if (!entry.is_object()) fail("{}: __metadata__ must be a JSON object", file);
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) fail("{}: metadata '{}' must be a string", file, key);
      s.metadata_[key] = value.get<std::string>();
    }
  }
  check_coverage(s.tensors_, file, bytes.size() - s.data_begin_);
  return s;
}

std::vector<std::string> Safetensors::names() const {
  std::vector<std::string> result;
  result.reserve(tensors_.size());
  for (const auto& [name, info] : tensors_) result.push_back(name);
  return result;
}

const TensorInfo& Safetensors::info(const std::string& name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) fail("{}: tensor '{}' is missing", path().string(), name);
  return it->second;
}

void Safetensors::release(const std::string& name) const {
  const TensorInfo& i = info(name);
  file_->release(file_->bytes().subspan(data_begin_ + i.begin, i.end - i.begin));
}

Tensor Safetensors::tensor(const std::string& name) const {
  const TensorInfo& i = info(name);
  const std::byte* data = file_->bytes().data() + data_begin_ + i.begin;
  if (reinterpret_cast<std::uintptr_t>(data) % size_of(i.dtype) == 0) {
    return Tensor::borrow(const_cast<std::byte*>(data), i.shape, i.dtype, file_);
  }
  Tensor copy = Tensor::empty(i.shape, i.dtype);
  std::memcpy(copy.raw(), data, copy.bytes());
  return copy;
}

namespace {

std::string header_of(const std::filesystem::path& path, const std::vector<TensorSpec>& specs,
                      const Metadata& metadata) {
  json header = json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t offset = 0;
  std::set<std::string_view> seen;  // an ordered json looks keys up one by one
  for (const TensorSpec& t : specs) {
    if (!seen.insert(t.name).second) fail("{}: tensor '{}' would be written twice", path.string(), t.name);
    json entry = {{"dtype", name_of_type(t.dtype)}, {"shape", t.shape}, {"data_offsets", {offset, offset + t.bytes()}}};
    header.get_ref<json::object_t&>().emplace_back(t.name, std::move(entry));
    offset += t.bytes();
  }
  std::string text = header.dump();
  const std::size_t rest = (8 + text.size()) % 64;  // so that the data lies aligned in a memory map
  if (rest != 0) text.append(64 - rest, ' ');
  return text;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, std::vector<TensorSpec> specs,
                                     const Metadata& metadata)
    : file_(path), specs_(std::move(specs)) {
  const std::string text = header_of(path, specs_, metadata);
  const std::uint64_t length = text.size();
  file_.append(&length, 8);
  file_.append(text);
}

void SafetensorsWriter::append(const std::string& name, const Tensor& t) {
  HADAL_ASSERT(next_ < specs_.size());
  const TensorSpec& spec = specs_[next_++];
  HADAL_ASSERT(spec.name == name && spec.dtype == t.dtype() && spec.shape == t.shape());
  file_.append(t.raw(), t.bytes());
}

void SafetensorsWriter::commit() {
  HADAL_ASSERT(next_ == specs_.size());
  file_.commit();
}

void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors, const Metadata& metadata) {
  std::vector<TensorSpec> specs;
  for (const auto& [name, t] : tensors) specs.push_back({name, t.dtype(), t.shape()});
  SafetensorsWriter file(path, std::move(specs), metadata);
  for (const auto& [name, t] : tensors) file.append(name, t);
  file.commit();
}

}  // namespace hadal::io
