// hadal tokenizer train
#pragma once

#include "cli/command.h"

namespace hadal::cli {

void add_tokenizer_train(Command verb);

}  // namespace hadal::cli
