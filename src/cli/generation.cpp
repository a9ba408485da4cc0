#include "cli/generation.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>

#include "base/error.h"
#include "base/model_folder.h"
#include "cli/failure.h"
#include "cli/notes.h"
#include "cli/options.h"
#include "cli/signals.h"
#include "engine/sampling_defaults.h"
#include "model/load.h"
#include "model/serve.h"

namespace hadal::cli {

void print_piece(const std::string& piece) {
  if (std::fwrite(piece.data(), 1, piece.size(), stdout) != piece.size() || std::fflush(stdout) != 0)
    fail("cannot write to standard output: {}", std::strerror(errno));
}

void add_generation_options(Command verb, GenerationOptions& o) {
  constexpr double kHuge = std::numeric_limits<double>::max();
  verb.add_option("model", o.model, "model folder, or a run: its newest checkpoint").required();
  verb.add_option("-n,--max-tokens", o.max_tokens, "most tokens to write (256)").rule(whole(0));
  verb.add_option("--temperature,--temp", o.temperature, "0: greedy, always the likeliest token (1)")
      .rule(real(0, kHuge));
  verb.add_option("--top-k", o.top_k, "keep the k likeliest tokens; 0: off (0)").rule(whole(0));
  verb.add_option("--top-p", o.top_p, "keep the likeliest tokens up to this share, one at least; 1: off (1)")
      .rule(real(0, 1));
  verb.add_option("--min-p", o.min_p, "drop tokens less likely than this share of the likeliest; 0: off (0)")
      .rule(real(0, 1));
  verb.add_option("--repetition-penalty", o.repetition_penalty, "0.001 to 1000; 1: off (1)").rule(real(1e-3, 1e3));
  verb.add_option("-s,--seed", o.seed, "same seed, same text; without it a random one, told on standard error")
      .rule(whole(0));
  verb.add_option("--stop", o.stop, "text that ends the answer; may be given several times")
      .one_value_each()
      .rule({[](const std::string& text) { return text.empty() ? "'' must not be empty" : ""; }, ""});
  verb.add_option("-c,--context", o.context, "positions of the cache; 0: what the model has, up to 8192 (0)")
      .rule(whole(0));
  verb.add_option("--overflow", o.overflow, "at the end of the context: stop, or forget the older half and go on")
      .one_of({"stop", "drop-oldest"})
      .shows_default();
  verb.add_option("--form", o.form, "of the MLA cache: latent is small, expanded equals training to the bit")
      .one_of({"latent", "expanded"})
      .shows_default();
  verb.add_option("--dtype", o.dtype, "compute type").one_of({"f32", "bf16"}).shows_default();
  verb.add_option("-t,--threads", o.threads, "0: all CPUs").rule(whole(0, 1024));
}

Writer::Writer(const GenerationOptions& o)
    : folder_(model_folder(o.model)),
      model_(model::load_model(folder_, dtype_from_name(o.dtype))),
      tokenizer_(text::Tokenizer::load(folder_)),
      runtime_(o.threads),
      settings_(settings_of(o)) {
  model::pack_for_serving(runtime_.context(), model_);
  generator_ = std::make_unique<engine::Generator>(runtime_.context(), model_, settings_);
}

engine::GenerateSettings Writer::settings_of(const GenerationOptions& o) {
  engine::SamplingDefaults model = engine::read_sampling_defaults(folder_);
  if (o.temperature) model.temperature.reset();
  if (o.top_k) model.top_k.reset();
  if (o.top_p) model.top_p.reset();
  if (o.min_p) model.min_p.reset();
  if (o.repetition_penalty) model.repetition_penalty.reset();
  if (o.max_tokens) model.max_tokens.reset();
  if (folder_ != o.model) told_ += fmt::format("model: {}\n", folder_.string());
  if (!model.text().empty()) told_ += fmt::format("generation_config.json: {}\n", model.text());
  if (model.max_length && !o.max_tokens && !model.max_tokens)
    model.unsupported.push_back(fmt::format("max_length = {}", *model.max_length));
  for (const std::string& what : model.unsupported)
    warn(fmt::format("generation_config.json: {}: hadal has no such setting, text is written without it", what));
  engine::GenerateSettings s;
  const auto take = [](auto& to, const auto& given, const auto& stated) { to = given.value_or(stated.value_or(to)); };
  take(s.sampling.temperature, o.temperature, model.temperature);
  take(s.sampling.top_k, o.top_k, model.top_k);
  take(s.sampling.top_p, o.top_p, model.top_p);
  take(s.sampling.min_p, o.min_p, model.min_p);
  take(s.sampling.repetition_penalty, o.repetition_penalty, model.repetition_penalty);
  take(s.max_tokens, o.max_tokens, model.max_tokens);
  s.sampling.seed = o.seed ? static_cast<std::uint64_t>(*o.seed) : std::random_device{}();
  s.context = o.context;
  s.form = o.form == "expanded" ? nn::MlaForm::expanded : nn::MlaForm::latent;
  s.overflow = o.overflow == "drop-oldest" ? engine::Overflow::drop_oldest : engine::Overflow::stop;
  s.stop = o.stop;
  s.stop.insert(s.stop.end(), model.stop.begin(), model.stop.end());
  s.stop_tokens.assign(tokenizer_.stop_tokens().ids.begin(), tokenizer_.stop_tokens().ids.end());
  if (const auto eos = tokenizer_.eos_id(); o.eos_ends && eos) s.stop_tokens.push_back(*eos);
  for (const std::string& text : s.stop) {
    const auto id = tokenizer_.token_id(text);
    if (!id || !tokenizer_.is_special(*id)) continue;
    stop_string_tokens_.push_back(*id);
    s.stop_tokens.push_back(*id);
  }
  return s;
}

void Writer::tell() const {
  fmt::print(stderr, "{}", told_);
  note_missing_mtp(folder_);
}

engine::Generated Writer::write(const std::function<void(const std::string&)>& show) {
  engine::StopStream out(tokenizer_, settings_.stop);
  const std::atomic<bool>& interrupted = stop_flag();
  engine::Generated g = generator_->generate([&](std::int32_t id) {
    show(out.push(id));
    return !out.stopped() && !interrupted.load();
  });
  show(out.finish());
  const bool spelled =
      g.reason == engine::StopReason::stop_token &&
      std::find(stop_string_tokens_.begin(), stop_string_tokens_.end(), g.stop_token) != stop_string_tokens_.end();
  if (out.stopped() || spelled) {
    g.reason = engine::StopReason::stop_string;
  } else if (interrupted.load()) {
    g.reason = engine::StopReason::interrupted;
  }
  return g;
}

}  // namespace hadal::cli
