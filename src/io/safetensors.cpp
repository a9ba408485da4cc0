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
constexpr TypeName kTypes[] = {{"F32", DType::f32}, {"BF16", DType::bf16}, {"F16", DType::f16}, {"F64", DType::f64},         {"I32", DType::i32},
                               {"I64", DType::i64}, {"U8", DType::u8},     {"F8_E4M3", DType::f8_e4m3}, {"F8_E5M2", DType::f8_e5m2}};
constexpr std::uint64_t kMostHeader = 100u << 20;

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
      !entry["dtype"].is_string() || !entry["shape"].is_array() || !entry["data_offsets"].is_array() || entry["data_offsets"].size() != 2) {
    fail("{}: must have dtype, shape and two data_offsets", where);
  }
  TensorInfo info;
  info.dtype = type_of(entry["dtype"].get<std::string>(), where);
  std::uint64_t elements = 1;
  for (const json& d : entry["shape"]) {
    const std::uint64_t n = unsigned_number(d, where, "the sizes of its shape");
    if (n > 0 && elements > (std::uint64_t{1} << 48) / n) fail("{}: its shape is too large", where);
    elements *= n;
    info.shape.push_back(static_cast<std::int64_t>(n));
  }
  info.begin = unsigned_number(entry["data_offsets"][0], where, "data_offsets");
  info.end = unsigned_number(entry["data_offsets"][1], where, "data_offsets");
  if (info.begin > info.end || info.end > data_bytes) {
    fail("{}: data_offsets [{}, {}) lie outside of the file's {} data bytes: the file is truncated or damaged", where, info.begin, info.end, data_bytes);
  }
  if (info.end - info.begin != elements * size_of(info.dtype)) {
    fail("{}: shape {} of {} needs {} bytes, data_offsets give {}", where, to_string(info.shape), name_of(info.dtype),
         elements * size_of(info.dtype), info.end - info.begin);
  }
  return info;
}

void check_overlap(const std::map<std::string, TensorInfo>& tensors, const std::string& file) {
  std::vector<std::pair<const std::string*, const TensorInfo*>> order;
  for (const auto& [name, info] : tensors) order.emplace_back(&name, &info);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return std::pair(a.second->begin, a.second->end) < std::pair(b.second->begin, b.second->end); });
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (order[i].second->begin < order[i - 1].second->end) fail("{}: tensors '{}' and '{}' overlap", file, *order[i - 1].first, *order[i].first);
  }
}

// nlohmann keeps the last of two equal keys: count them while parsing.
json parse_header(std::string_view text, const std::string& file) {
  std::set<std::string> seen;
  std::string twice;
  const json::parser_callback_t callback = [&](int depth, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::key && depth == 1 && !seen.insert(value.get<std::string>()).second) twice = value.get<std::string>();
    return true;
  };
  json header;
  try {
    header = json::parse(text, callback);
  } catch (const json::parse_error& e) {
    fail("{}: the safetensors header is not valid JSON (byte {})", file, e.byte);
  }
  if (!twice.empty()) fail("{}: tensor '{}' is there twice", file, twice);
  if (!header.is_object()) fail("{}: the safetensors header must be a JSON object", file);
  return header;
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
    fail("{}: not a safetensors file, or truncated: a header of {} bytes is announced, the file has {}", file, length, bytes.size());
  }
  s.data_begin_ = 8 + length;
  const json header = parse_header({reinterpret_cast<const char*>(bytes.data()) + 8, length}, file);
  for (const auto& [name, entry] : header.items()) {
    if (name != "__metadata__") {
      s.tensors_[name] = read_info(entry, fmt::format("{}: tensor '{}'", file, name), bytes.size() - s.data_begin_);
      continue;
    }
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) fail("{}: metadata '{}' must be a string", file, key);
      s.metadata_[key] = value.get<std::string>();
    }
  }
  check_overlap(s.tensors_, file);
  return s;
}

std::vector<std::string> Safetensors::names() const {
  std::vector<std::string> result;
  for (const auto& [name, info] : tensors_) result.push_back(name);
  return result;
}

const TensorInfo& Safetensors::info(const std::string& name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) fail("{}: tensor '{}' is missing", path().string(), name);
  return it->second;
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

void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors, const std::map<std::string, std::string>& metadata) {
  json header = json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t offset = 0;
  for (const auto& [name, t] : tensors) {
    if (header.contains(name)) fail("{}: tensor '{}' would be written twice", path.string(), name);
    header[name] = {{"dtype", name_of_type(t.dtype())}, {"shape", t.shape()}, {"data_offsets", {offset, offset + t.bytes()}}};
    offset += t.bytes();
  }
  std::string text = header.dump();
  text.resize((text.size() + 63) / 64 * 64, ' ');  // so that the data lies aligned in a memory map
  if ((text.size() + 8) % 64 != 0) text.resize(text.size() + 56, ' ');
  const std::uint64_t length = text.size();
  AtomicFile file(path);
  file.append(&length, 8);
  file.append(text);
  for (const auto& [name, t] : tensors) file.append(t.raw(), t.bytes());
  file.commit();
}

}  // namespace hadal::io
