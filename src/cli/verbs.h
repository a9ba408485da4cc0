// One function a verb; each lives in its own file and registers its subcommand, options and callback.
#pragma once

#include "cli/command.h"

namespace hadal::cli {

void add_tokenizer(Command app);
void add_version(Command app);
void add_convert(Command app);
void add_inspect(Command app);
void add_data(Command app);
void add_plan(Command app);
void add_pretrain(Command app);
void add_generate(Command app);
void add_chat(Command app);
void add_recipe(Command app);
void add_report(Command app);
void add_verify(Command app);
void add_watch(Command app);
void add_bench(Command app);
void add_study(Command app);

}  // namespace hadal::cli
