// Lines on stderr about a model folder that every verb which opens it says alike.
#pragma once

#include <filesystem>

namespace hadal::cli {

// If the folder's config counts MTP modules that its weights lack: that they are left out.
void note_missing_mtp(const std::filesystem::path& model_dir);

}  // namespace hadal::cli
