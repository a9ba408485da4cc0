#include "cli/verbs.h"
#include "train/checkpoint.h"

namespace hadal::cli {

void add_version(Command app) {
  app.add_version_flag("-V,--version", train::build_id(), "version, commit, compiler and flags");
}

}  // namespace hadal::cli
