// Files: reading, memory maps, atomic writes with fault points.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace hadal {

namespace fs = std::filesystem;

// Whole file as bytes. Throws Error naming the path and the reason.
std::string read_file(const fs::path& path);

// The same of what belongs to a folder: a pipe or a device, which may have no end, is an Error (but not /dev/fd/N and
// /dev/stdin, which a command line names).
std::string read_whole_file(const fs::path& path);
// Opens a file for reading, as open(2) does with fstat(2). Throws Error, also for what is no regular file.
int open_regular(const fs::path& path, struct stat& info);

// The file from its beginning in pieces of `size` bytes, the last one shorter. Throws Error naming the path and the
// reason.
void read_pieces(const fs::path& path, std::size_t size, const std::function<void(std::span<const std::byte>)>& f);

// A read-only memory map of a whole file. Throws Error naming the path and the reason.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  // Gives back the pages of a part that has been read: they no longer count as this process's memory.
  void release(std::span<const std::byte> part) const;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Writes a file so that a crash leaves the old file or the new one, never a mix: temporary sibling, fsync, rename,
// fsync of the folder. `append` may be called any number of times before commit(); without commit() the temporary goes.
// What is no regular file (a device, a pipe) is written to as it is. Throws Error naming `path` and the reason.
class AtomicFile {
 public:
  explicit AtomicFile(fs::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void append(const void* data, std::size_t size);
  void append(std::string_view text) { append(text.data(), text.size()); }
  void commit();

 private:
  fs::path path_, temporary_;
  int fd_ = -1;
  bool direct_ = false;  // no regular file: nothing to rename
};

// A file that grows by records. One that cannot be written (the disk is full) is kept in memory and written before the
// next; the file never ends in the middle of a record.
class GrowingFile {
 public:
  // Opens or makes the file and cuts it to `size` bytes. Throws Error naming the path.
  GrowingFile(fs::path path, std::size_t size);
  ~GrowingFile();
  GrowingFile(const GrowingFile&) = delete;
  GrowingFile& operator=(const GrowingFile&) = delete;
  // Throw Error if something cannot be written; it is kept.
  void append(std::string_view record);
  void flush();
  void sync();  // flush(), and it is on the disk
  // Writes the file again if its path no longer leads to it (it was removed or replaced by another), and says whether
  // that was so. Throws Error if it cannot be written.
  bool put_back();

 private:
  fs::path path_;
  std::string pending_;
  std::size_t size_ = 0;
  int fd_ = -1;
};

void write_file_atomically(const fs::path& path, std::string_view content);
void fsync_folder(const fs::path& folder);
// `finished` gets the name `to`, on the disk when this returns. A folder that had that name is removed; where the file
// system can exchange names there is a whole one at every moment. Throws Error naming the folder.
void replace_folder(const fs::path& finished, const fs::path& to);

// A folder that stays open, so that it is known again: its path may come to lead to another one, or to none.
class OpenFolder {
 public:
  explicit OpenFolder(fs::path folder);
  ~OpenFolder();
  OpenFolder(const OpenFolder&) = delete;
  OpenFolder& operator=(const OpenFolder&) = delete;
  // Whether the path still leads to the folder that was opened (the same device and inode). False once that was moved,
  // removed or replaced.
  bool in_place() const;
  const fs::path& path() const { return path_; }

 protected:
  int fd() const { return fd_; }

 private:
  fs::path path_;
  int fd_ = -1;
};

// Holds a folder for this process until it ends, however it ends. Throws Error if another process holds it.
class FolderLock : public OpenFolder {
 public:
  explicit FolderLock(const fs::path& folder);
};

// Removes what killed AtomicFiles left in a folder (not below it). Only for the one who alone writes there.
void remove_temporaries(const fs::path& folder);

// Test hook: HADAL_FAULT="POINT[:N[:PART]]" kills the process (SIGKILL) at the N-th (first) time the point of that name
// is passed for a path that contains PART (any path), or stops it (SIGSTOP) if N has a minus sign. Points: write,
// fsync, rename, remove.
void fault_point(std::string_view name, const fs::path& path);
// Test hook: whether HADAL_FAULT is "NAME:FROM" or "NAME:FROM-TO" and `number` lies there. Names: loss (of a step).
bool fault_planned(std::string_view name, std::int64_t number);

}  // namespace hadal
