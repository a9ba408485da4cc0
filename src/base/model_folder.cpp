#include "base/model_folder.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "base/error.h"

namespace hadal {

namespace fs = std::filesystem;

fs::path checkpoint_dir(const fs::path& run, std::int64_t step) {
  return run / "checkpoints" / fmt::format("step-{:08}", step);
}

std::vector<std::int64_t> list_checkpoints(const fs::path& run) {
  std::vector<std::int64_t> steps;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints", none)) {
    const std::string name = entry.path().filename().string();
    std::int64_t step = -1;
    if (!name.starts_with("step-") || !entry.is_directory(none)) continue;
    std::from_chars(name.data() + 5, name.data() + name.size(), step);
    if (step >= 0 && name == checkpoint_dir(run, step).filename()) steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

fs::path model_folder(const fs::path& path) {
  std::error_code none;
  if (fs::exists(path / "config.json", none) || !fs::is_directory(path / "checkpoints", none)) return path;
  const std::vector<std::int64_t> steps = list_checkpoints(path);
  if (steps.empty()) fail("{}: is the folder of a run that has no checkpoint yet", path.string());
  return checkpoint_dir(path, steps.back());
}

}  // namespace hadal
