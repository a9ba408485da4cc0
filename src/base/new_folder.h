// A folder of output that appears whole or not at all.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "base/file.h"

namespace hadal {

// Is filled under the name PATH.tmp and renamed to PATH by commit(); without commit() it goes again. What a killed
// process left under that name is cleared by the next one. A second process that wants the same folder meanwhile gets
// an Error.
class NewFolder {
 public:
  // Whether a file, by its path inside the folder, is of the kind that is written here: a folder with other files is
  // neither replaced nor cleared.
  using Ours = std::function<bool(const fs::path& inside)>;

  // Throws Error if PATH exists and is not empty, unless `replace`; if it holds files that are not ours; or if the
  // folder cannot be made.
  NewFolder(fs::path path, bool replace, const Ours& ours);
  ~NewFolder();
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  const fs::path& work() const { return work_; }  // where to write; files must be on the disk before commit()
  void commit();

 private:
  fs::path path_, work_;
  std::unique_ptr<FolderLock> lock_;
};

}  // namespace hadal
