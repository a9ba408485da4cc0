#include "cli/notes.h"

#include "cli/failure.h"
#include "model/names.h"

namespace hadal::cli {

void note_missing_mtp(const std::filesystem::path& model_dir) {
  const std::string line = model::missing_mtp(model::load_config(model_dir), io::HfDir(model_dir));
  if (!line.empty()) note(line + ": what is missing is left out");
}

}  // namespace hadal::cli
