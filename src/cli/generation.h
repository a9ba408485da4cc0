// What generate and chat share: the options of sampling, a model that is ready to write, and one answer of it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/runtime.h"
#include "engine/generate.h"
#include "text/tokenizer.h"

namespace hadal::cli {

// As typed; what is not given comes from the model's generation_config.json, else from engine::SamplingSettings.
struct GenerationOptions {
  std::string model, dtype = "bf16", form = "latent", overflow = "stop";
  std::optional<double> temperature, top_p, min_p, repetition_penalty;
  std::optional<std::int64_t> top_k, max_tokens, seed;
  std::vector<std::string> stop;
  std::int64_t context = 0;
  int threads = 0;
  bool eos_ends = false;  // EOS ends every turn of a chat, be it one of the model's stop tokens or not
};

void add_generation_options(Command verb, GenerationOptions& options);

// Loads model and tokenizer, takes the model's own settings where none are given, and draws a seed if none is.
class Writer {
 public:
  explicit Writer(const GenerationOptions& options);

  const std::filesystem::path& folder() const { return folder_; }
  const text::Tokenizer& tokenizer() const { return tokenizer_; }
  const engine::GenerateSettings& settings() const { return settings_; }
  engine::Generator& generator() { return *generator_; }
  // On stderr, when nothing can go wrong any more: which checkpoint of a run, and which settings of the model's own.
  void tell() const;

  // Writes on from what was fed; `show` gets the text in whole characters, as it comes. Ctrl-C ends it.
  engine::Generated write(const std::function<void(const std::string&)>& show);

 private:
  engine::GenerateSettings settings_of(const GenerationOptions& options);

  std::string told_;
  std::filesystem::path folder_;
  model::CausalLm model_;
  text::Tokenizer tokenizer_;
  Runtime runtime_;
  engine::GenerateSettings settings_;
  std::vector<std::int64_t> stop_string_tokens_;  // special tokens that --stop spells: no text shows them
  std::unique_ptr<engine::Generator> generator_;
};

// To standard output, at once. Throws Error if it cannot be written.
void print_piece(const std::string& piece);

}  // namespace hadal::cli
