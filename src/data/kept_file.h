// A file that a run reads again and again while it lasts: it stays open, and what is done to it meanwhile is noticed.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>

namespace hadal::data {

class KeptFile {
 public:
  // Throws Error naming the path and the reason.
  explicit KeptFile(std::filesystem::path path);
  ~KeptFile();
  KeptFile(const KeptFile&) = delete;
  KeptFile& operator=(const KeptFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t size() const { return static_cast<std::uint64_t>(seen_.st_size); }  // when it was opened
  // Throws Error if it cannot be read, or was cut.
  void read(std::uint64_t at, void* to, std::size_t bytes) const;

  // Since it was opened: nothing; something that leaves its content (it was removed, renamed, linked, or its rights
  // were set) or may not (its times were set); it was written to. To be asked after a read.
  enum class Change { none, maybe, written };
  Change change() const;
  void accept();  // what maybe changed was looked at: it is as it should be

 private:
  struct stat now() const;
  std::filesystem::path path_;
  int fd_ = -1;
  struct stat seen_ {};
};

}  // namespace hadal::data
