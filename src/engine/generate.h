// Generation of one text from the cache, token by token, with a UTF-8 safe stream of pieces.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/cache.h"
#include "engine/sampler.h"
#include "text/tokenizer.h"

namespace hadal::engine {

// What to do at the end of the context: stop, or forget the oldest half and go on.
enum class Overflow : std::uint8_t { stop, drop_oldest };

struct GenerateSettings {
  SamplingSettings sampling;
  std::int64_t max_tokens = 256;
  std::int64_t context = 0;  // positions; 0: the model's max_position_embeddings
  Overflow overflow = Overflow::stop;
  nn::MlaForm form = nn::MlaForm::latent;
  std::int64_t crossover = 128;
  std::vector<std::string> stop;          // text: generation ends before the first of these
  std::vector<std::int64_t> stop_tokens;  // usually the model's EOS
};

// stop_string: on_token ended it. interrupted is for callers, who know why they did. Where two meet, what was asked for
// comes first: a stop string or token, then max_tokens, then the end of the context.
enum class StopReason : std::uint8_t { max_tokens, stop_token, stop_string, context, interrupted };
std::string_view name_of(StopReason reason);

struct Generated {
  std::vector<std::int32_t> tokens;  // without the stop token
  std::vector<float> logprobs;       // of each token under the unfiltered distribution
  StopReason reason = StopReason::max_tokens;
  std::int32_t stop_token = -1;  // the one that was met, if that is the reason
  std::int64_t dropped = 0;      // tokens forgotten since the generation before this one, of what was fed, too
};

// Called with each new token (a stop token excepted). Return false to end.
using OnToken = std::function<bool(std::int32_t)>;

// One conversation with a model: feeds tokens, remembers them in the cache, generates. Not copyable.
class Generator {
 public:
  Generator(const kernels::Context& cx, const model::CausalLm& model, const GenerateSettings& settings);
  // Appends to what the model has seen. Returns how many tokens were forgotten for it: of a text longer than the
  // context everything but its last half context. Throws Error if there is no room and overflow is stop; nothing
  // changes then.
  std::int64_t feed(std::span<const std::int32_t> tokens);
  // At least one token must have been fed.
  Generated generate(const OnToken& on_token);
  // Back to where the last feed() ended, with another seed: for one more answer to the same text.
  void again(std::uint64_t seed);
  // Forgets everything.
  void clear();
  const std::vector<std::int32_t>& history() const { return history_; }

 private:
  void run(std::span<const std::int32_t> tokens);
  void forget(std::size_t kept);
  bool make_room(std::int64_t count);

  // Where the last feed() ended.
  struct Mark {
    std::vector<std::int32_t> history;
    std::int64_t position = 0, dropped = 0;
    Tensor logits;
    bool in_cache = false;  // the cache still begins with `history`
  };

  const kernels::Context& cx_;
  const model::CausalLm& model_;
  GenerateSettings settings_;
  std::int64_t context_;
  KvCache cache_;
  Sequence sequence_;
  std::vector<std::int32_t> history_;  // tokens in the cache
  std::int64_t position_ = 0;          // tokens seen since the start, dropped ones included: keys the draws
  std::int64_t dropped_ = 0;           // since the last generation
  Tensor logits_;                      // of the last fed token
  Mark mark_;
};

// Turns tokens into text, holding back what may yet become a stop string or half a character.
class StopStream {
 public:
  StopStream(const text::Tokenizer& tokenizer, std::vector<std::string> stop)
      : decoder_(tokenizer, true), stop_(std::move(stop)) {}
  // Text that may be shown now. stopped() tells that a stop string was met; nothing comes after it.
  std::string push(std::int32_t id);
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  std::string release(bool all);
  text::StreamDecoder decoder_;
  std::vector<std::string> stop_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace hadal::engine
