#include "base/new_folder.h"

#include <fcntl.h>
#include <cstdio>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace hadal {

namespace {

// The first file in a folder that is not ours; empty if there is none.
fs::path foreign_file(const fs::path& folder, const NewFolder::Ours& ours) {
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const fs::path inside = entry.path().lexically_relative(folder);
    if (entry.is_symlink() || (!entry.is_directory() && !ours(inside))) return inside;
  }
  return {};
}

[[noreturn]] void fail_foreign(const fs::path& folder, const fs::path& file) {
  fail("{}: holds {}, which is no file that this command writes: it is left as it is, give another folder",
       folder.string(), file.string());
}

void remove_quietly(const fs::path& folder) {
  std::error_code ignored;  // what stays is under a name that nobody reads, and the next one clears it
  fs::remove_all(folder, ignored);
}

}  // namespace

NewFolder::NewFolder(fs::path path, bool replace, const Ours& ours) : path_(std::move(path)) {
  if (path_.empty()) fail("the output must be a folder: its name is empty");
  path_ = path_.lexically_normal();
  if (path_.filename().empty()) path_ = path_.parent_path();
  if (fs::is_symlink(path_)) path_ = fs::weakly_canonical(path_);
  const std::string name = path_.filename().string();
  if (name.empty() || name == "." || name == "..") fail("{}: give the name of a new folder", path_.string());
  std::error_code error;
  const fs::file_status there = fs::status(path_, error);
  if (fs::exists(there) && !fs::is_directory(there))
    fail("{}: there is a file of this name: give a new folder", path_.string());
  if (fs::is_directory(there) && !fs::is_empty(path_)) {
    if (!replace) fail("{}: exists already: give a new folder, or --force to replace this one", path_.string());
    if (const fs::path file = foreign_file(path_, ours); !file.empty()) fail_foreign(path_, file);
  }
  work_ = path_;
  work_ += ".tmp";
  fs::create_directories(work_, error);
  if (error) fail("cannot make the folder {}: {}", path_.string(), error.message());
  lock_ = std::make_unique<FolderLock>(work_);
  if (const fs::path file = foreign_file(work_, ours); !file.empty()) fail_foreign(work_, file);
  for (const auto& entry : fs::directory_iterator(work_)) fs::remove_all(entry.path());
}

NewFolder::~NewFolder() {
  if (lock_ != nullptr) remove_quietly(work_);
}

void NewFolder::commit() {
  fsync_folder(work_);
  fault_point("rename", path_);
  const bool exchange = fs::exists(path_) && !fs::is_empty(path_);
  bool done = exchange && ::renameat2(AT_FDCWD, work_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE) == 0;
  if (!done) {
    fs::path old = path_;
    old += ".old.tmp";
    if (exchange && ::rename(path_.c_str(), old.c_str()) != 0)  // a file system that cannot exchange
      fail("cannot replace {}: {}", path_.string(), std::strerror(errno));
    if (::rename(work_.c_str(), path_.c_str()) != 0) {
      const int code = errno;
      if (exchange) (void)::rename(old.c_str(), path_.c_str());
      fail("cannot rename {} to {}: {}", work_.string(), path_.string(), std::strerror(code));
    }
    if (exchange) remove_quietly(old);
  }
  fsync_folder(path_.parent_path());
  lock_.reset();
  if (done) remove_quietly(work_);  // the folder that was there before
}

}  // namespace hadal
