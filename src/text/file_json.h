// JSON whose objects take a new key without looking for it first: a vocabulary of 10^5 keys is read in linear time.
// Of a key that comes twice the first value is found. Private to src/text; include in .cpp files only.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace hadal::text {

template <class Key, class T, class Less, class Allocator>
struct AppendMap : nlohmann::ordered_map<Key, T, Less, Allocator> {
  using Base = nlohmann::ordered_map<Key, T, Less, Allocator>;
  using Base::Base;
  T& operator[](const Key& key) {
    Base::Container::emplace_back(key, T{});
    return this->back().second;
  }
};

using FileJson = nlohmann::basic_json<AppendMap>;

inline FileJson read_file_json(const fs::path& path) {
  const std::string text = read_file(path);
  try {
    return FileJson::parse(text);
  } catch (const FileJson::parse_error& e) {
    fail("{} is not valid JSON: {} (byte {})", path.string(), e.what(), e.byte);
  }
}

}  // namespace hadal::text
