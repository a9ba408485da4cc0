// hadal generate MODEL --prompt TEXT, and hadal chat MODEL: text from a model, streamed.
#include <CLI/CLI.hpp>

#include <cstdio>
#include <iostream>
#include <limits>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "base/progress.h"
#include "cli/notes.h"
#include "cli/runtime.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "engine/generate.h"
#include "model/load.h"
#include "model/serve.h"
#include "text/special_tokens.h"

namespace hadal::cli {

namespace {

struct Arguments {
  std::string model, prompt, dtype = "bf16", form = "latent", overflow = "stop", system;
  engine::GenerateSettings settings;
  int threads = 0;
  bool as_json = false, no_bos = false;
};

engine::GenerateSettings settings_of(const Arguments& a, const text::Tokenizer& tokenizer) {
  engine::GenerateSettings s = a.settings;
  s.form = a.form == "expanded" ? nn::MlaForm::expanded : nn::MlaForm::latent;
  s.overflow = a.overflow == "drop-oldest" ? engine::Overflow::drop_oldest : engine::Overflow::stop;
  s.stop_tokens.assign(tokenizer.stop_tokens().ids.begin(), tokenizer.stop_tokens().ids.end());
  return s;
}

void print_piece(const std::string& piece) {
  std::fwrite(piece.data(), 1, piece.size(), stdout);
  std::fflush(stdout);
}

// Streams one answer; returns what was generated.
engine::Generated stream(engine::Generator& generator, const text::Tokenizer& tokenizer,
                         const std::vector<std::string>& stop, std::string* text) {
  engine::StopStream out(tokenizer, stop);
  const std::atomic<bool>& interrupted = stop_flag();
  const auto show = [&](const std::string& piece) {
    if (text != nullptr) {
      *text += piece;
    } else {
      print_piece(piece);
    }
  };
  engine::Generated g = generator.generate([&](std::int32_t id) {
    show(out.push(id));
    return !out.stopped() && !interrupted.load();
  });
  show(out.finish());
  if (interrupted.load() && !out.stopped()) g.reason = engine::StopReason::interrupted;
  return g;
}

void generate(const Arguments& a) {
  model::CausalLm model = model::load_model(a.model, dtype_from_name(a.dtype));
  note_missing_mtp(a.model);
  const text::Tokenizer tokenizer = text::Tokenizer::load(a.model);
  Runtime runtime(a.threads);
  model::pack_for_serving(runtime.context(), model);
  engine::Generator generator(runtime.context(), model, settings_of(a, tokenizer));
  std::vector<std::int32_t> prompt = tokenizer.encode(a.prompt, !a.no_bos);
  if (prompt.empty()) {
    const auto bos = tokenizer.bos_id();
    if (!bos) fail("the prompt is empty and the tokenizer has no token to begin with: give --prompt");
    prompt.push_back(*bos);
  }
  const auto start = std::chrono::steady_clock::now();
  generator.feed(prompt);
  const double prefill = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::string text;
  if (!a.as_json) print_piece(a.prompt);
  const engine::Generated g = stream(generator, tokenizer, a.settings.stop, a.as_json ? &text : nullptr);
  const double total = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (a.as_json) {
    fmt::print("{}\n", json{{"prompt_ids", prompt},
                            {"ids", g.tokens},
                            {"logprobs", g.logprobs},
                            {"text", text},
                            {"stop", engine::name_of(g.reason)},
                            {"dropped", g.dropped}}
                           .dump(-1, ' ', false, json::error_handler_t::replace));
    return;
  }
  fmt::print("\n");
  fmt::print(stderr, "{} tokens read at {}/s, {} written at {}/s, stop: {}\n", prompt.size(),
             short_number(static_cast<double>(prompt.size()) / prefill), g.tokens.size(),
             short_number(static_cast<double>(g.tokens.size()) / (total - prefill)), engine::name_of(g.reason));
}

// V3's layout (SPEC §5.3): BOS, system text, then User and Assistant turns, each answer ended by EOS. A model that was
// never taught it just continues the text.
std::vector<std::int32_t> turn(const text::Tokenizer& tokenizer, const std::string& text, bool first,
                               const std::string& system) {
  const auto bos = tokenizer.bos_id();
  const auto user = tokenizer.token_id(text::kUserName), assistant = tokenizer.token_id(text::kAssistantName);
  std::vector<std::int32_t> ids;
  const auto add = [&](const std::string& part) {  // what a user types is text, control tokens spelled in it too
    const std::vector<std::int32_t> more = tokenizer.encode_as_text(part);
    ids.insert(ids.end(), more.begin(), more.end());
  };
  if (first && bos) ids.push_back(*bos);
  if (!user || !assistant) {
    add((first ? system : "") + text + "\n");
    return ids;
  }
  if (first) add(system);
  ids.push_back(*user);
  add(text);
  ids.push_back(*assistant);
  return ids;
}

void chat(const Arguments& a) {
  model::CausalLm model = model::load_model(a.model, dtype_from_name(a.dtype));
  note_missing_mtp(a.model);
  const text::Tokenizer tokenizer = text::Tokenizer::load(a.model);
  Runtime runtime(a.threads);
  model::pack_for_serving(runtime.context(), model);
  engine::GenerateSettings settings = settings_of(a, tokenizer);
  if (const auto eos = tokenizer.eos_id()) settings.stop_tokens.push_back(*eos);  // it ends every turn
  engine::Generator generator(runtime.context(), model, settings);
  fmt::print(stderr, "{}: Ctrl-C ends an answer; an empty line, Ctrl-D or Ctrl-C at the prompt ends the chat\n",
             a.model);
  std::string line;
  for (bool first = true;; first = false) {
    fmt::print("> ");
    std::fflush(stdout);
    clear_stop_flag();
    if (!std::getline(std::cin, line) || line.empty()) break;
    generator.feed(turn(tokenizer, line, first, a.system));
    const engine::Generated g = stream(generator, tokenizer, a.settings.stop, nullptr);
    fmt::print("\n");
    if (g.reason == engine::StopReason::context) {
      fmt::print(stderr, "the context is full: start anew, or use --overflow drop-oldest\n");
      return;
    }
    if (const auto eos = tokenizer.eos_id()) generator.feed({{*eos}});
  }
}

void add_options(CLI::App* verb, const std::shared_ptr<Arguments>& a) {
  verb->add_option("model", a->model, "model folder")->required();
  verb->add_option("--max-tokens", a->settings.max_tokens, "most tokens to write");
  verb->add_option("--temperature", a->settings.sampling.temperature, "0: greedy")->capture_default_str();
  verb->add_option("--top-k", a->settings.sampling.top_k, "keep the k likeliest; 0: off");
  verb->add_option("--top-p", a->settings.sampling.top_p, "keep the likeliest up to this share; 1: off");
  verb->add_option("--min-p", a->settings.sampling.min_p,
                   "drop what is less likely than this share of the likeliest; 0: off");
  verb->add_option("--repetition-penalty", a->settings.sampling.repetition_penalty, "1: off");
  verb->add_option("--seed", a->settings.sampling.seed, "same seed, same text")
      ->check(CLI::Range(std::int64_t{0}, std::numeric_limits<std::int64_t>::max()));
  verb->add_option("--stop", a->settings.stop, "text that ends the answer (may be given several times)");
  verb->add_option("--context", a->settings.context, "positions of the cache; 0: what the model has, up to 8192");
  verb->add_option("--overflow", a->overflow, "at the end of the context")
      ->check(CLI::IsMember({"stop", "drop-oldest"}));
  verb->add_option("--form", a->form, "of the MLA cache: latent is small, expanded equals training to the bit")
      ->check(CLI::IsMember({"latent", "expanded"}));
  verb->add_option("--dtype", a->dtype, "compute type")->check(CLI::IsMember({"f32", "bf16"}));
  verb->add_option("--threads", a->threads, "0: all CPUs")->check(CLI::Range(0, 1024));
}

}  // namespace

void add_generate(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("generate", "continue a text");
  add_options(verb, a);
  verb->add_option("--prompt", a->prompt, "text to continue");
  verb->add_flag("--no-bos", a->no_bos, "do not let the tokenizer add its special tokens");
  verb->add_flag("--json", a->as_json, "print one JSON object instead of streaming");
  verb->callback([a] { generate(*a); });
}

void add_chat(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("chat", "talk with a model, line by line");
  add_options(verb, a);
  verb->add_option("--system", a->system, "text before the first turn");
  verb->callback([a] { chat(*a); });
}

}  // namespace hadal::cli
