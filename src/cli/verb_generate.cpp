// hadal generate MODEL [PROMPT]: continues a text, streamed, or as one JSON object.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/words.h"
#include "cli/generation.h"
#include "cli/json_out.h"
#include "cli/options.h"
#include "cli/signals.h"
#include "cli/typed.h"
#include "cli/verbs.h"

namespace hadal::cli {

namespace {

struct Arguments {
  GenerationOptions generation;
  std::optional<std::string> words, prompt, prompt_file;
  std::optional<std::int64_t> samples;
  bool as_json = false, no_bos = false;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string rate(std::int64_t count, double seconds) {
  return count == 0 ? "" : fmt::format(" at {}/s", short_number(static_cast<double>(count) / seconds));
}

// As given; else what is piped in; else nothing.
std::string prompt_of(const Arguments& a) {
  if (a.words) return *a.words;
  if (a.prompt) return *a.prompt;
  if (a.prompt_file) return read_prompt(*a.prompt_file);
  return isatty(STDIN_FILENO) == 1 ? "" : read_prompt("-");
}

std::vector<std::int32_t> ids_of(const Writer& writer, const std::string& prompt, bool special) {
  std::vector<std::int32_t> ids = writer.tokenizer().encode(prompt, special);
  if (!ids.empty()) return ids;
  const auto bos = writer.tokenizer().bos_id();
  if (!bos) fail("the prompt is empty and the tokenizer has no token to begin with: give a prompt");
  return {*bos};
}

struct Sample {
  engine::Generated made;
  std::string text;
  std::uint64_t seed = 0;
  double seconds = 0;
};

json to_json(const Sample& s) {
  return {{"seed", s.seed},
          {"ids", s.made.tokens},
          {"logprobs", s.made.logprobs},
          {"text", s.text},
          {"stop", engine::name_of(s.made.reason)},
          {"dropped", s.made.dropped}};
}

json to_json(const engine::GenerateSettings& s) {
  return {{"temperature", s.sampling.temperature},
          {"top_k", s.sampling.top_k},
          {"top_p", s.sampling.top_p},
          {"min_p", s.sampling.min_p},
          {"repetition_penalty", s.sampling.repetition_penalty},
          {"max_tokens", s.max_tokens},
          {"stop", s.stop}};
}

// With --num-samples a list, else the one sample's fields beside the others.
void print_json(const Writer& writer, const std::string& prompt, const std::vector<std::int32_t>& ids,
                const std::vector<Sample>& samples, bool as_list) {
  json j = {{"model", writer.folder().string()},
            {"prompt", prompt},
            {"prompt_ids", ids},
            {"sampling", to_json(writer.settings())}};
  if (as_list) j["samples"] = json::array();
  for (const Sample& s : samples) {
    if (as_list) {
      j["samples"].push_back(to_json(s));
    } else {
      j.update(to_json(s));
    }
  }
  cli::print_json(j);
}

// "12 tokens read at 1.2K/s, 40 written at 100/s, seed 7, stop: max_tokens"
std::string summary(const Sample& s, std::int64_t read, std::int64_t forgotten, double prefill, bool greedy) {
  std::string text = plural(static_cast<std::uint64_t>(read), "token") + " read" + rate(read, prefill);
  if (forgotten > 0) text += fmt::format(", {} of the prompt forgotten", forgotten);
  const auto written = static_cast<std::int64_t>(s.made.tokens.size());
  text += fmt::format(", {} written", written) + rate(written, s.seconds);
  if (s.made.dropped > forgotten) text += fmt::format(", {} forgotten meanwhile", s.made.dropped - forgotten);
  if (!greedy) text += fmt::format(", seed {}", s.seed);
  return text + fmt::format(", stop: {}", engine::name_of(s.made.reason));
}

void generate(const Arguments& a) {
  const std::string prompt = prompt_of(a);
  Writer writer(a.generation);
  const std::vector<std::int32_t> ids = ids_of(writer, prompt, !a.no_bos);
  auto start = std::chrono::steady_clock::now();
  const std::int64_t forgotten = writer.generator().feed(ids);
  const double prefill = seconds_since(start);
  writer.tell();
  const std::int64_t count = a.samples.value_or(1);
  std::vector<Sample> samples;
  for (std::int64_t i = 0; i < count && (i == 0 || !stop_flag().load()); ++i) {
    Sample s;
    s.seed = writer.settings().sampling.seed + static_cast<std::uint64_t>(i);
    if (i > 0) writer.generator().again(s.seed);
    if (!a.as_json && a.samples) print_piece(fmt::format("=== sample {} of {}, seed {}\n", i + 1, count, s.seed));
    if (!a.as_json) print_piece(prompt);
    start = std::chrono::steady_clock::now();
    s.made = writer.write([&](const std::string& piece) {
      if (a.as_json) {
        s.text += piece;
      } else {
        print_piece(piece);
      }
    });
    s.seconds = seconds_since(start);
    if (!a.as_json) {
      print_piece("\n");
      const auto read = static_cast<std::int64_t>(ids.size()) - forgotten;
      fmt::print(stderr, "{}\n", summary(s, read, forgotten, prefill, writer.settings().sampling.temperature == 0));
    }
    samples.push_back(std::move(s));
  }
  if (a.as_json) print_json(writer, prompt, ids, samples, a.samples.has_value());
}

}  // namespace

void add_generate(Command app) {
  auto a = std::make_shared<Arguments>();
  Command verb = app.add_verb("generate", "continue a text");
  add_generation_options(verb, a->generation);
  Option words = verb.add_option(
      "text", a->words, "text to continue, in quotes; if neither it, -p nor --prompt-file is given, what is piped in");
  Option prompt = verb.add_option("-p,--prompt", a->prompt, "the same as an option").not_with(words);
  verb.add_option("-f,--prompt-file", a->prompt_file, "file with the text; - for standard input")
      .not_with(words)
      .not_with(prompt);
  verb.add_option("--num-samples", a->samples, "so many continuations of the one prompt, with the seeds S, S + 1, ...")
      .rule(whole(1, 1'000'000));
  verb.add_flag("--no-bos", a->no_bos, "do not let the tokenizer add its special tokens");
  add_json(verb, a->as_json, "print one JSON object instead of streaming (docs/generate.md names its keys)");
  verb.footer(
      "Text goes to standard output, everything else to standard error.\n"
      "Examples:\n"
      "  hadal generate RUN \"Once upon a time\" -n 100 --temp 0.8 --top-p 0.95\n"
      "  echo \"Once upon a time\" | hadal generate MODEL --temp 0\n"
      "  hadal generate MODEL --prompt-file story.txt --num-samples 4 -s 7 --json >samples.json");
  verb.callback([a] { generate(*a); });
}

}  // namespace hadal::cli
