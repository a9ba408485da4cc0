// hadal: the one program. Every verb is a file beside this one.
#include <CLI/CLI.hpp>

#include <malloc.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/help.h"
#include "cli/signals.h"
#include "cli/verbs.h"

namespace {

// The line of error goes to standard error, which may have been closed: the exit status says it still.
template <class F>
int told(const F& tell) {
  try {
    return tell();
  } catch (const std::system_error&) {
    return 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  // Tensors come and go every step: keep their pages instead of returning them to the kernel each time.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  hadal::cli::keep_standard_descriptors();
  hadal::cli::ignore_size_limit();
  CLI::App app("hadal: train, study and run language models of the DeepSeek-V3 architecture", "hadal");
  hadal::cli::use_help(app);
  const hadal::cli::Command program(app);
  program.needs_verb();
  hadal::cli::add_tokenizer(program);
  hadal::cli::add_version(program);
  hadal::cli::add_convert(program);
  hadal::cli::add_inspect(program);
  hadal::cli::add_data(program);
  hadal::cli::add_plan(program);
  hadal::cli::add_pretrain(program);
  hadal::cli::add_generate(program);
  hadal::cli::add_chat(program);
  hadal::cli::add_recipe(program);
  hadal::cli::add_report(program);
  hadal::cli::add_verify(program);
  hadal::cli::add_watch(program);
  hadal::cli::add_bench(program);
  hadal::cli::add_study(program);
  // "hadal help", "hadal help VERB": as with --help.
  std::vector<std::string> words(argv + 1, argv + argc);
  if (!words.empty() && words.front() == "help") {
    words.erase(words.begin());
    words.emplace_back("--help");
  }
  std::reverse(words.begin(), words.end());  // as the library wants them
  try {
    app.parse(std::move(words));
    if (std::fflush(stdout) != 0) hadal::fail("cannot write to standard output: {}", std::strerror(errno));
  } catch (const CLI::ParseError& e) {
    return told([&] { return hadal::cli::report_usage(app, e); });
  } catch (const std::exception& e) {
    return told([&] { return hadal::cli::report_failure(e); });
  }
  return 0;
}
