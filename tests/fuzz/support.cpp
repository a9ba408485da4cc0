#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "base/error.h"
#include "fuzz/targets.h"

namespace hadal::fuzz {

namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path;
  Folder() {
    std::error_code none;
    const fs::path memory = "/dev/shm";
    const bool usable = fs::is_directory(memory, none) && ::access(memory.c_str(), W_OK) == 0;
    std::string name = ((usable ? memory : fs::temp_directory_path()) / "hadal-fuzz-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
    path = name;
  }
  ~Folder() {
    std::error_code none;
    fs::remove_all(path, none);
  }
};

}  // namespace

const fs::path& folder() {
  static const Folder own;
  return own.path;
}

fs::path write(const std::string& name, std::string_view content) {
  const fs::path path = folder() / name;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  if (!file) {
    fs::create_directories(path.parent_path());
    file.open(path, std::ios::binary | std::ios::trunc);
  }
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
  return path;
}

void require(bool ok, const char* what) {
  if (!ok) throw std::logic_error(what);
}

namespace {
std::size_t whole = 0;
}

std::size_t read_whole() { return whole; }

bool expect_error_names(const std::string& file, const std::function<void()>& f) {
  try {
    f();
    ++whole;
    return true;
  } catch (const Error& e) {
    const std::string text = e.what();
    if (text.size() > kMaxMessage || escaped(text) != text) throw std::logic_error("not one short line: " + text);
    if (text.find(file) == std::string::npos) throw std::logic_error("does not name " + file + ": " + text);
    return false;
  }
}

std::string_view first_line(std::string_view& input) {
  const std::size_t end = std::min(input.find('\n'), input.size());
  const std::string_view line = input.substr(0, end);
  input.remove_prefix(std::min(end + 1, input.size()));
  return line;
}

std::string with_data(std::string_view header) {
  // The largest number after any "data_offsets": good enough to let valid headers through.
  std::uint64_t most = 0;
  for (std::size_t at = header.find("data_offsets"); at != std::string_view::npos;
       at = header.find("data_offsets", at + 1)) {
    const std::size_t end = std::min(header.find(']', at), header.size());
    std::uint64_t number = 0;
    for (const char c : header.substr(at, end - at)) {
      number =
          c >= '0' && c <= '9' ? std::min<std::uint64_t>(number * 10 + static_cast<unsigned>(c - '0'), 1u << 20) : 0;
      most = std::max(most, number);
    }
  }
  const std::uint64_t length = header.size();
  std::string file(reinterpret_cast<const char*>(&length), sizeof length);
  file += header;
  file.append(most, '\0');
  return file;
}

}  // namespace hadal::fuzz
