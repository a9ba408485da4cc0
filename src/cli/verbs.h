// One function a verb; each lives in its own file and registers its subcommand, options and callback.
#pragma once

namespace CLI {
class App;
}

namespace hadal::cli {

void add_tokenizer(CLI::App& app);
void add_version(CLI::App& app);
void add_convert(CLI::App& app);
void add_inspect(CLI::App& app);
void add_data(CLI::App& app);
void add_plan(CLI::App& app);
void add_pretrain(CLI::App& app);
void add_generate(CLI::App& app);
void add_chat(CLI::App& app);
void add_recipe(CLI::App& app);
void add_report(CLI::App& app);
void add_verify(CLI::App& app);
void add_watch(CLI::App& app);
void add_bench(CLI::App& app);
void add_study(CLI::App& app);

}  // namespace hadal::cli
