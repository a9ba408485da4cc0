#include "data/kept_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/file.h"

namespace hadal::data {

namespace {

bool same(const timespec& a, const timespec& b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

}  // namespace

KeptFile::KeptFile(std::filesystem::path path) : path_(std::move(path)) {
  struct stat info {};
  fd_ = open_regular(path_, info);
  seen_ = now();
}

KeptFile::~KeptFile() { ::close(fd_); }

struct stat KeptFile::now() const {
  struct stat s {};
  if (::fstat(fd_, &s) != 0) fail("cannot read {}: {}", path_.string(), std::strerror(errno));
  return s;
}

void KeptFile::read(std::uint64_t at, void* to, std::size_t bytes) const {
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t n = ::pread(fd_, static_cast<char*>(to) + done, bytes - done, static_cast<off_t>(at + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot read {}: {}", path_.string(), std::strerror(errno));
    if (n == 0) fail("{}: the file has been cut since it was opened", path_.string());
    done += static_cast<std::size_t>(n);
  }
}

KeptFile::Change KeptFile::change() const {
  const struct stat s = now();
  if (s.st_size != seen_.st_size || !same(s.st_mtim, seen_.st_mtim)) return Change::written;
  return same(s.st_ctim, seen_.st_ctim) ? Change::none : Change::maybe;
}

void KeptFile::accept() { seen_ = now(); }

}  // namespace hadal::data
