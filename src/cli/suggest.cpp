#include "cli/suggest.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include "base/edit_distance.h"
#include "base/one_line.h"
#include "train/recipe_hints.h"

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
                               Alias{"talk repl interactive", "chat"},
                               Alias{"version", "--version"}};

// Of `data`.
constexpr std::array kDataVerbs = {Alias{"show stat stats inspect describe ls list count", "info"},
                                   Alias{"tokenize encode preprocess pack convert import", "prepare"},
                                   Alias{"make create synthesize", "generate"}};

constexpr std::array kOptions = {
    Alias{"--max-new-tokens --n-predict --predict --num-predict --max-length --length --tokens --ntokens",
          "--max-tokens"},
    Alias{"--ctx-size --ctx --context-size --max-context --n-ctx --max-seq-len --max-model-len", "--context"},
    Alias{"--repeat-penalty --rep-pen --penalty --frequency-penalty --presence-penalty", "--repetition-penalty"},
    Alias{"-T --temperatur", "--temperature"},
    Alias{"-k", "--top-k"},
    Alias{"--file --input-file --prompt-path", "--prompt-file"},
    Alias{"--system-prompt --sys --system-prompt-file", "--system"},
    Alias{"--num-return-sequences --num-sequences --samples --best-of --n", "--num-samples"},
    Alias{"-v", "--version"},
    Alias{"--random-seed --rng-seed", "--seed"},
    Alias{"--stop-string --stop-strings --reverse-prompt --stop-sequence", "--stop"},
    Alias{"-j --nthreads --num-threads --n-threads --jobs --num-workers", "--threads"},
    Alias{"--type --precision --torch-dtype --outtype --compute-dtype", "--dtype"},
    Alias{"-o --output --out-dir --output-dir --outfile --save", "--out"},
    Alias{"-o --output --output-dir --out-dir --out", "--run"},
    Alias{"--resume-from --resume-from-checkpoint --continue --checkpoint", "--resume"},
    Alias{"--vocab --vocabulary --vocab-sz", "--vocab-size"},
    Alias{"--files --data --text", "--input"},
    Alias{"--overwrite --replace -y --yes", "--force"},
    Alias{"--val-share --val-split --validation-split --test-size --eval-share", "--validation-share"}};

// What has no flag of its own where the verb has what is named second: an option, or an argument that stands alone.
struct Remark {
  std::string_view names, with, text;
};

constexpr std::array kRemarks = {
    Remark{"-m --model --model-path --checkpoint", "model", "the model stands without a flag"},
    Remark{"-m --model --source --input -i", "source", "the model stands without a flag"},
    Remark{"-o --output --out --out-dir --output-dir --target", "target", "the new folder stands without a flag"},
    Remark{"-c --config --recipe --config-file", "recipe", "the recipe stands without a flag"},
    Remark{"--run --run-dir -r", "run", "the run stands without a flag"},
    Remark{"-o --output --out --outfile", "--prompt", "text goes to standard output: >FILE"},
    Remark{"-o --output --out --outfile", "--system", "answers go to standard output: >FILE"},
    Remark{"--greedy --no-sample", "--temperature", "--temperature 0 is greedy"},
    Remark{"--do-sample", "--temperature", "every temperature but 0 samples"},
    Remark{"--stream --streaming", "--prompt", "text is streamed unless --json is given"},
    Remark{"--device --gpu --cuda --n-gpu-layers -ngl --gpus", "--threads",
           "everything is computed on the CPU; --threads tells how many cores"}};

struct Name {
  std::string name, meant;
};

std::vector<std::string> words_of(std::string_view rest) {
  std::vector<std::string> words;
  while (!rest.empty()) {
    const auto blank = std::min(rest.find(' '), rest.size());
    words.emplace_back(rest.substr(0, blank));
    rest.remove_prefix(std::min(blank + 1, rest.size()));
  }
  return words;
}

bool is_among(std::string_view names, std::string_view word) {
  const std::vector<std::string> all = words_of(names);
  return std::find(all.begin(), all.end(), word) != all.end();
}

std::string did_you_mean(std::string_view name) { return fmt::format("did you mean '{}'?", name); }

// The one that the word begins, or the nearest, if no more than `most` letters differ.
std::string nearest(const std::vector<Name>& names, std::string_view word, std::size_t most) {
  const Name* best = nullptr;
  std::size_t least = most + 1;
  for (const Name& n : names) {
    const bool begun = word.size() > 2 && n.name.starts_with(word);  // "prep"
    const std::size_t d = begun ? 0 : edit_distance(n.name, word);
    if (d >= least) continue;
    least = d;
    best = &n;
  }
  return best == nullptr ? "" : did_you_mean(best->meant);
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
  const auto add = [&](const auto& aliases) {
    for (const Alias& a : aliases) {
      for (const std::string& name : words_of(a.names)) names.push_back({name, std::string(a.meant)});
    }
  };
  if (app.get_parent() == nullptr) add(kVerbs);
  if (app.get_name() == "data") add(kDataVerbs);
  if (std::string hint = nearest(names, plain(word), word.size() / 3 + 1); !hint.empty()) return hint;
  // "hadal recipe r.toml", where there is nothing else to be done with a recipe.
  return names.size() == 1 ? did_you_mean(fmt::format("{} {}", names.front().meant, shown(word))) : "";
}

std::string suggested_option(const CLI::App& verb, std::string_view word) {
  std::vector<Name> names;
  std::vector<std::string> known;  // names of arguments, too
  for (const CLI::Option* option : verb.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back({"--" + name, "--" + name});
    if (option->get_positional()) known.push_back(option->get_name(true, false));
  }
  for (const Name& n : names) known.push_back(n.name);
  const auto has = [&](std::string_view name) { return std::find(known.begin(), known.end(), name) != known.end(); };
  if (!word.starts_with('-')) {
    if (has("--prompt")) return "a text with spaces needs quotes";
    return has("--run") ? "the folder of the run has a flag: --run" : "";
  }
  const std::string name = plain(word), given(word.substr(0, std::min(word.find('='), word.size())));
  const auto is = [&](std::string_view all) { return is_among(all, given) || is_among(all, name); };
  for (const Alias& a : kOptions) {
    if (has(a.meant) && is(a.names)) return did_you_mean(a.meant);
  }
  for (const Remark& r : kRemarks) {
    if (has(r.with) && is(r.names)) return std::string(r.text);
  }
  const std::string bare = name.substr(std::min(name.find_first_not_of('-'), name.size()));
  if (has("--set")) {
    if (const std::string key = train::known_key_hint(bare); !key.empty())
      return "a key of the recipe: " + key + " (--set KEY=VALUE)";
  }
  return nearest(names, name, std::max<std::size_t>(1, bare.size() / 3));
}

}  // namespace hadal::cli
