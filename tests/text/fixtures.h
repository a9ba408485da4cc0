// Reading of tests/data/text: tokenizers and JSON lines.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace hadal::text {

inline const char* const kTinyTokenizers[] = {"tiny_deepseek_v3", "tiny_deepseek_v2", "tiny_qwen2", "tiny_llama3",
                                              "tiny_gpt2"};

inline fs::path data_path(const std::string& name) { return fs::path(HADAL_TEST_DATA) / "text" / name; }

// A fresh path for this test alone: tests run side by side.
inline fs::path temporary_path(const std::string& name) {
  const fs::path path = fs::path(testing::TempDir()) / (name + "_" + std::to_string(::getpid()));
  fs::remove_all(path);
  return path;
}

inline std::vector<json> read_lines(const std::string& name) {
  const std::string text = read_file(data_path(name));
  std::vector<json> lines;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = text.find('\n', start);
    lines.push_back(parse_json(std::string_view(text).substr(start, end - start), name));
    start = end + 1;
  }
  return lines;
}

}  // namespace hadal::text
