#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "base/error.h"

namespace hadal {

namespace {

[[noreturn]] void fail_errno(const char* what, const fs::path& path) {
  const int error = errno;
  fail("cannot {} {}: {}", what, path.empty() ? "a file without a name" : path.string(), std::strerror(error));
}

// A path ends at its first NUL byte for the system: what stands behind would be passed over.
void require_whole(const fs::path& path) {
  if (path.native().find('\0') != std::string::npos) fail("cannot open {}: a name holds no NUL byte", path.string());
}

int open_for_reading(const fs::path& path, struct stat& info, int flags = 0) {
  require_whole(path);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags);
  if (fd < 0) fail_errno("open", path);
  if (::fstat(fd, &info) != 0 || S_ISDIR(info.st_mode)) {
    ::close(fd);
    fail("cannot read {}: it is a folder, not a file", path.string());
  }
  return fd;
}

bool leads_to(const fs::path& path, int fd) {
  struct stat opened {
  }, found{};
  return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &found) == 0 && opened.st_dev == found.st_dev &&
         opened.st_ino == found.st_ino;
}

}  // namespace

std::string read_file(const fs::path& path) {
  std::string content;
  read_pieces(path, 1 << 16, [&](std::span<const std::byte> piece) {
    content.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  });
  return content;
}

void read_pieces(const fs::path& path, std::size_t size, const std::function<void(std::span<const std::byte>)>& f) {
  struct Descriptor {
    int fd = -1;
    ~Descriptor() { ::close(fd); }
  };
  struct stat info {};
  const Descriptor file{open_for_reading(path, info)};
  std::vector<std::byte> buffer(size);
  for (bool whole = true; whole;) {
    std::size_t filled = 0;
    while (filled < size) {
      const ssize_t n = ::read(file.fd, buffer.data() + filled, size - filled);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail_errno("read", path);
      if (n == 0) break;
      filled += static_cast<std::size_t>(n);
    }
    whole = filled == size;
    if (filled > 0) f({buffer.data(), filled});
  }
}

int open_regular(const fs::path& path, struct stat& info) {
  const int fd = open_for_reading(path, info, O_NONBLOCK);  // a pipe would make it wait for a writer
  if (S_ISREG(info.st_mode)) return fd;
  ::close(fd);
  fail("cannot read {}: it is a pipe or a device, not a file", path.string());
}

std::string read_whole_file(const fs::path& path) {
  struct stat info {};
  const bool passed_on = path.native().starts_with("/dev/fd/") || path.native().starts_with("/dev/stdin");
  if (!passed_on) ::close(open_regular(path, info));
  return read_file(path);
}

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  struct stat info {};
  const int fd = open_regular(path, info);
  size_ = static_cast<std::size_t>(info.st_size);
  if (size_ > 0) {
    void* p = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
      ::close(fd);
      fail_errno("map", path);
    }
    data_ = static_cast<const std::byte*>(p);
  }
  ::close(fd);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(std::span<const std::byte> part) const {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(part.data()) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(part.data()) + part.size()) / page * page;
  if (begin < end) (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);  // only a hint
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)) {
  std::error_code none;
  const fs::file_status there = fs::status(path_, none);
  if (fs::is_directory(there)) fail("cannot write {}: it is a folder, not a file", path_.string());
  direct_ = fs::exists(there) && !fs::is_regular_file(there);
  temporary_ = path_;
  if (!direct_) temporary_ += fmt::format(".{}.tmp", ::getpid());
  if (path_.empty()) errno = ENOENT;
  if (!path_.empty()) fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | (direct_ ? 0 : O_TRUNC) | O_CLOEXEC, 0644);
  if (fd_ < 0) fail_errno("write", path_);
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  if (!direct_) ::unlink(temporary_.c_str());
}

void AtomicFile::append(const void* data, std::size_t size) {
  fault_point("write", temporary_);
  const char* p = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = ::write(fd_, p, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_errno("write", path_);
    p += n;
    size -= static_cast<std::size_t>(n);
  }
}

void AtomicFile::commit() {
  if (direct_) {
    const int fd = std::exchange(fd_, -1);
    if (::close(fd) != 0) fail_errno("write", path_);
    return;
  }
  fault_point("fsync", temporary_);
  if (::fsync(fd_) != 0) fail_errno("sync", path_);
  const int fd = std::exchange(fd_, -1);
  if (::close(fd) != 0) {
    ::unlink(temporary_.c_str());
    fail_errno("close", path_);
  }
  fault_point("rename", path_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    errno = error;
    fail_errno("rename to", path_);
  }
  fsync_folder(path_.parent_path());
}

GrowingFile::GrowingFile(fs::path path, std::size_t size) : path_(std::move(path)), size_(size) {
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) fail_errno("open", path_);
  if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) {
    ::close(fd_);
    fail_errno("cut back", path_);
  }
}

GrowingFile::~GrowingFile() { ::close(fd_); }

void GrowingFile::append(std::string_view record) {
  pending_ += record;
  flush();
}

void GrowingFile::flush() {
  std::size_t done = 0;
  while (done < pending_.size()) {
    const ssize_t n = ::write(fd_, pending_.data() + done, pending_.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      if (done > 0 && ::ftruncate(fd_, static_cast<off_t>(size_)) != 0) fail_errno("cut back", path_);
      errno = error;
      fail_errno("write", path_);
    }
    done += static_cast<std::size_t>(n);
  }
  size_ += pending_.size();
  pending_.clear();
}

void GrowingFile::sync() {
  flush();
  fault_point("fsync", path_);
  if (::fdatasync(fd_) != 0) fail_errno("sync", path_);
}

bool GrowingFile::put_back() {
  if (leads_to(path_, fd_)) return false;
  std::string content(size_, '\0');
  for (std::size_t done = 0; done < size_;) {
    const ssize_t n = ::pread(fd_, content.data() + done, size_ - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_errno("read", path_);
    if (n == 0) content.resize(done);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  write_file_atomically(path_, content);
  const int fd = ::open(path_.c_str(), O_RDWR | O_APPEND | O_CLOEXEC);
  if (fd < 0) fail_errno("open", path_);
  ::close(std::exchange(fd_, fd));
  size_ = content.size();
  return true;
}

void write_file_atomically(const fs::path& path, std::string_view content) {
  AtomicFile file(path);
  file.append(content);
  file.commit();
}

void fsync_folder(const fs::path& folder) {
  const fs::path where = folder.empty() ? fs::path(".") : folder;
  const int fd = ::open(where.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail_errno("open", where);
  const int rc = ::fsync(fd);
  ::close(fd);
  if (rc != 0) fail_errno("sync", where);
}

void replace_folder(const fs::path& finished, const fs::path& to) {
  if (::renameat2(AT_FDCWD, finished.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) {
    fsync_folder(to.parent_path());
    fs::remove_all(finished);
    return;
  }
  std::error_code error;
  if (errno != ENOENT) fs::remove_all(to, error);  // this file system cannot exchange names
  if (::rename(finished.c_str(), to.c_str()) != 0) fail_errno("rename to", to);
  fsync_folder(to.parent_path());
}

OpenFolder::OpenFolder(fs::path folder) : path_(std::move(folder)) {
  fd_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd_ < 0) fail_errno("open", path_);
}

OpenFolder::~OpenFolder() { ::close(fd_); }

bool OpenFolder::in_place() const { return leads_to(path_, fd_); }

FolderLock::FolderLock(const fs::path& folder) : OpenFolder(folder) {
  // Some network file systems cannot lock: the run goes on without.
  if (::flock(fd(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    fail("{}: another process is working in this folder", folder.string());
}

void remove_temporaries(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(".tmp") || !entry.is_regular_file()) continue;
    const auto end = name.size() - 4, dot = name.rfind('.', end - 1);
    if (dot == std::string::npos || dot + 1 == end) continue;
    if (name.find_first_not_of("0123456789", dot + 1) == end) found.push_back(entry.path());
  }
  for (const fs::path& path : found) fs::remove(path);
}

void fault_point(std::string_view name, const fs::path& path) {
  const char* const wanted = std::getenv("HADAL_FAULT");  // read each time: a test sets it in a forked child
  if (wanted == nullptr) return;
  static std::atomic<int> passed{0};
  const std::string_view spec(wanted);
  const auto colon = spec.find(':');
  if (spec.substr(0, colon) != name) return;
  const int nth = colon == std::string_view::npos ? 1 : std::atoi(wanted + colon + 1);
  const auto second = colon == std::string_view::npos ? colon : spec.find(':', colon + 1);
  if (second != std::string_view::npos && path.string().find(spec.substr(second + 1)) == std::string::npos) return;
  if (passed.fetch_add(1) + 1 == std::abs(nth)) ::kill(::getpid(), nth < 0 ? SIGSTOP : SIGKILL);
}

bool fault_planned(std::string_view name, std::int64_t number) {
  const char* const wanted = std::getenv("HADAL_FAULT");
  if (wanted == nullptr) return false;
  const std::string_view spec(wanted);
  const auto colon = spec.find(':');
  if (colon == std::string_view::npos || spec.substr(0, colon) != name) return false;
  char* end = nullptr;
  const long long from = std::strtoll(wanted + colon + 1, &end, 10), to = *end == '-' ? std::atoll(end + 1) : from;
  return number >= from && number <= to;
}

}  // namespace hadal
