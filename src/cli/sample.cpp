#include "cli/sample.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "engine/generate.h"
#include "model/load.h"
#include "model/serve.h"

namespace hadal::cli {

namespace {

constexpr std::int64_t kTokens = 160;
constexpr double kTemperature = 0.8, kTopP = 0.95;
constexpr std::int64_t kSeed = 1;

// Which checkpoint, by name and date: a run made anew under the same name has another one.
std::string key_of(const fs::path& checkpoint) {
  return fmt::format("{} {}", checkpoint.filename().string(),
                     fs::last_write_time(checkpoint / "config.json").time_since_epoch().count());
}

// A file that is damaged or of another checkpoint counts as none: it only saves time.
std::optional<train::Sample> known(const fs::path& file, const std::string& key) {
  if (!fs::exists(file)) return std::nullopt;
  try {
    const json j = read_json(file);
    if (j.is_object() && j.value("checkpoint", "") == key)
      return train::Sample{j.at("how"), j.at("prompt"), j.at("text")};
  } catch (const Error&) {
  } catch (const json::exception&) {
  }
  return std::nullopt;
}

// Text as it may be shown: control characters other than line ends and tabs would move about on a terminal.
std::string shown(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    out += (u < 0x20 && c != '\n' && c != '\t') || u == 0x7f ? std::string("\xc2\xb7") : std::string(1, c);
  }
  return out;
}

std::optional<train::Sample> generated(const fs::path& checkpoint, const kernels::Context& cx,
                                       const std::atomic<bool>& stop) {
  model::CausalLm model = model::load_model(checkpoint, DType::bf16);
  const text::Tokenizer tokenizer = text::Tokenizer::load(checkpoint);
  model::pack_for_serving(cx, model);
  // A document begins where the one before it ended: that is how the model was trained.
  const auto begin = tokenizer.eos_id() ? tokenizer.eos_id() : tokenizer.bos_id();
  if (!begin) fail("{}: the tokenizer has no token that ends or begins a document", checkpoint.string());
  engine::GenerateSettings s;
  s.sampling.temperature = kTemperature;
  s.sampling.top_p = kTopP;
  s.sampling.seed = kSeed;
  s.stop_tokens = model.config().eos_token_ids;
  s.stop_tokens.push_back(*begin);
  const std::int64_t room = model.config().max_position_embeddings - 1;
  s.max_tokens = room > 0 ? std::min(kTokens, room) : kTokens;
  engine::Generator generator(cx, model, s);
  generator.feed({{*begin}});
  engine::StopStream stream(tokenizer, {});
  std::string text;
  const engine::Generated g = generator.generate([&](std::int32_t id) {
    text += stream.push(id);
    return !stop.load();
  });
  text += stream.finish();
  if (stop.load()) return std::nullopt;
  return train::Sample{
      fmt::format("What {} writes at the start of a document: {} {}, temperature {}, top-p {}, seed {}.",
                  checkpoint.filename().string(), g.tokens.size(), g.tokens.size() == 1 ? "token" : "tokens",
                  kTemperature, kTopP, kSeed),
      "", shown(text)};
}

}  // namespace

std::optional<train::Sample> sample_of(const fs::path& run, const fs::path& checkpoint, const kernels::Context& cx,
                                       const std::atomic<bool>& stop, std::string& problem) {
  const fs::path file = run / "sample.json";
  try {
    const std::string key = key_of(checkpoint);
    if (auto old = known(file, key)) return old;
    const auto sample = generated(checkpoint, cx, stop);
    if (!sample) return std::nullopt;
    const json j = {{"checkpoint", key}, {"how", sample->how}, {"prompt", sample->prompt}, {"text", sample->text}};
    write_file_atomically(file, j.dump(1, ' ', false, json::error_handler_t::replace) + "\n");
    return sample;
  } catch (const std::exception& e) {
    problem = fmt::format("no sample of text: {}", e.what());
    return std::nullopt;
  }
}

}  // namespace hadal::cli
