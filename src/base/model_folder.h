// Which model a folder stands for: itself, or as the folder of a run its newest checkpoint; and where a run keeps
// those.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace hadal {

// RUN/checkpoints/step-00001234; steps sort by name.
std::filesystem::path checkpoint_dir(const std::filesystem::path& run, std::int64_t step);

// Steps of the complete checkpoints in a run, rising. Other folders and files there are not looked at.
std::vector<std::int64_t> list_checkpoints(const std::filesystem::path& run);

// Where a user names a model, the folder of a run stands for its newest checkpoint; any other path is itself. Throws
// Error if the run has no checkpoint yet.
std::filesystem::path model_folder(const std::filesystem::path& path);

}  // namespace hadal
