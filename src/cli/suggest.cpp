#include "cli/suggest.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include "base/edit_distance.h"

namespace hadal::cli {

namespace {

constexpr std::size_t kLongest = 40;  // nobody means anything by a longer name

struct Alias {
  std::string_view names, meant;  // names with spaces between them
};

constexpr std::array kVerbs = {Alias{"train fit finetune fine-tune", "pretrain"},
                               Alias{"run sample complete infer inference predict completion", "generate"},
                               Alias{"info show stat stats describe config", "inspect"},
                               Alias{"export save copy merge", "convert"},
                               Alias{"tokenize encode decode detokenize", "tokenizer"},
                               Alias{"prepare dataset preprocess datasets", "data"},
                               Alias{"benchmark perf", "bench"},
                               Alias{"estimate dry-run", "plan"},
                               Alias{"monitor tail log logs", "watch"},
                               Alias{"compare check test", "verify"},
                               Alias{"resume continue", "pretrain --resume RUN"},
                               Alias{"talk repl interactive", "chat"}};

constexpr std::array kOptions = {
    Alias{"--max-new-tokens --n-predict --predict --num-predict --max-length --length --tokens --ntokens",
          "--max-tokens"},
    Alias{"--ctx-size --ctx --context-size --max-context --n-ctx --max-seq-len --max-model-len", "--context"},
    Alias{"--repeat-penalty --rep-pen", "--repetition-penalty"},
    Alias{"--file --input-file --prompt-path", "--prompt-file"},
    Alias{"--system-prompt --sys --system-prompt-file", "--system"},
    Alias{"--num-return-sequences --num-sequences --samples --best-of", "--num-samples"},
    Alias{"--random-seed --rng-seed", "--seed"},
    Alias{"--stop-string --stop-strings --reverse-prompt --stop-sequence", "--stop"},
    Alias{"--nthreads --num-threads --n-threads --jobs --num-workers", "--threads"},
    Alias{"--type --precision --torch-dtype --outtype --compute-dtype", "--dtype"},
    Alias{"-o --output --out-dir --output-dir --outfile --save", "--out"},
    Alias{"-o --output --output-dir --out-dir --out", "--run"},
    Alias{"--vocab --vocabulary --vocab-sz", "--vocab-size"},
    Alias{"--files --data --text", "--input"}};

struct Name {
  std::string name, meant;
};

template <class Aliases>
void add_aliases(const Aliases& aliases, std::vector<Name>& names, const auto& wanted) {
  for (const Alias& a : aliases) {
    if (!wanted(a.meant)) continue;
    for (std::string_view rest = a.names; !rest.empty();) {
      const auto blank = std::min(rest.find(' '), rest.size());
      names.push_back({std::string(rest.substr(0, blank)), std::string(a.meant)});
      rest.remove_prefix(std::min(blank + 1, rest.size()));
    }
  }
}

// The one that the word begins, or the nearest, if no more than a third of the letters and one differ.
std::string nearest(const std::vector<Name>& names, std::string_view word) {
  const Name* best = nullptr;
  std::size_t least = word.size() / 3 + 2;
  for (const Name& n : names) {
    const bool begun = word.size() > 2 && n.name.starts_with(word);  // "prep"
    const std::size_t d = begun ? 0 : edit_distance(n.name, word);
    if (d >= least) continue;
    least = d;
    best = &n;
  }
  return best == nullptr ? "" : fmt::format("did you mean '{}'?", best->meant);
}

// "--max_tokens=5" is about --max-tokens.
std::string plain(std::string_view word) {
  std::string name(word.substr(0, std::min({word.find('='), word.size(), kLongest})));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return c == '_' ? '-' : static_cast<char>(std::tolower(c)); });
  return name;
}

}  // namespace

std::string suggested_verb(const CLI::App& app, std::string_view word) {
  std::vector<Name> names;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back({verb->get_name(), verb->get_name()});
  if (app.get_parent() == nullptr) add_aliases(kVerbs, names, [](std::string_view) { return true; });
  return nearest(names, plain(word));
}

std::string suggested_option(const CLI::App& verb, std::string_view word) {
  std::vector<Name> names;
  for (const CLI::Option* option : verb.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back({"--" + name, "--" + name});
  }
  const auto has = [&](std::string_view name) {
    return std::any_of(names.begin(), names.end(), [&](const Name& n) { return n.name == name; });
  };
  if (!word.starts_with('-')) return has("--prompt") ? "a text with spaces needs quotes" : "";
  const std::string name = plain(word);
  if ((name == "-m" || name == "--model") && !has("--model")) return "the model stands without a flag";
  add_aliases(kOptions, names, [&](std::string_view meant) { return has(meant); });
  return nearest(names, name);
}

}  // namespace hadal::cli
