#include "engine/sampling_defaults.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace hadal::engine {

namespace {

// Settings of the Hugging Face library that change what is written and that hadal does not have, with the numbers at
// which they do nothing. Lists, objects and tokens always do something.
struct Foreign {
  std::string_view name;
  double neutral;
};
constexpr std::array kForeign = {
    Foreign{"num_beams", 1},         Foreign{"num_beam_groups", 1},      Foreign{"typical_p", 1},
    Foreign{"guidance_scale", 1},    Foreign{"presence_penalty", 0},     Foreign{"encoder_repetition_penalty", 1},
    Foreign{"frequency_penalty", 0}, Foreign{"epsilon_cutoff", 0},       Foreign{"eta_cutoff", 0},
    Foreign{"penalty_alpha", 0},     Foreign{"no_repeat_ngram_size", 0}, Foreign{"top_h", 0},
    Foreign{"min_length", 0},        Foreign{"min_new_tokens", 0},       Foreign{"encoder_no_repeat_ngram_size", 0}};
constexpr std::array<std::string_view, 12> kForeignLists = {"bad_words_ids",         "suppress_tokens",
                                                            "begin_suppress_tokens", "forced_bos_token_id",
                                                            "forced_eos_token_id",   "sequence_bias",
                                                            "watermarking_config",   "force_words_ids",
                                                            "dola_layers",           "exponential_decay_length_penalty",
                                                            "constraints",           "max_time"};

void note_foreign(const JsonField& file, std::vector<std::string>& notes) {
  for (const Foreign& f : kForeign) {
    const auto field = file.find(f.name);
    if (field && field->number() != f.neutral) notes.push_back(fmt::format("{} = {}", f.name, field->number()));
  }
  for (const std::string_view name : kForeignLists) {
    if (file.find(name)) notes.emplace_back(name);
  }
  if (const auto field = file.find("token_healing"); field && field->boolean()) notes.emplace_back("token_healing");
}

std::vector<std::string> strings(const JsonField& field) {
  std::vector<std::string> all;
  if (field.value().is_string()) {
    all.push_back(field.string());
  } else {
    for (const JsonField& item : field.items()) all.push_back(item.string());
  }
  if (std::find(all.begin(), all.end(), "") != all.end()) field.wrong("texts, none empty");
  return all;
}

}  // namespace

SamplingDefaults read_sampling_defaults(const fs::path& model_dir) {
  const fs::path path = model_dir / "generation_config.json";
  if (!fs::exists(path)) return {};
  const json document = read_json(path);
  const JsonField file(document, path.string());
  SamplingDefaults d;
  const auto number = [&](std::string_view name, double low, double high, std::optional<double>& to) {
    const auto field = file.find(name);
    if (!field) return;
    to = field->number();
    if (!(*to >= low && *to <= high)) field->wrong(fmt::format("from {} to {}", low, high));
  };
  number("temperature", 0, 1e30, d.temperature);
  number("top_p", 0, 1, d.top_p);
  number("min_p", 0, 1, d.min_p);
  number("repetition_penalty", 1e-3, 1e3, d.repetition_penalty);
  if (const auto field = file.find("top_k")) d.top_k = std::max<std::int64_t>(0, field->integer(-1));  // -1: off
  if (const auto field = file.find("max_new_tokens")) d.max_tokens = field->integer(1);
  if (const auto field = file.find("max_length")) d.max_length = field->integer(1);
  if (const auto field = file.find("stop_strings")) d.stop = strings(*field);
  const auto sampled = file.find("do_sample");
  if (sampled && !sampled->boolean()) d.temperature = 0;
  note_foreign(file, d.unsupported);
  return d;
}

std::string SamplingDefaults::text() const {
  std::string all;
  const auto add = [&](const char* name, const auto& value) {
    if (value) all += fmt::format("{}{} {}", all.empty() ? "" : ", ", name, *value);
  };
  add("temperature", temperature);
  add("top-k", top_k);
  add("top-p", top_p);
  add("min-p", min_p);
  add("repetition penalty", repetition_penalty);
  add("max tokens", max_tokens);
  for (const std::string& s : stop) all += fmt::format("{}stop '{}'", all.empty() ? "" : ", ", s);
  return all;
}

}  // namespace hadal::engine
