#include "engine/generate.h"

#include <algorithm>
#include <utility>

#include "ops/lm_loss.h"

namespace hadal::engine {

std::string_view name_of(StopReason reason) {
  constexpr std::string_view kNames[] = {"max_tokens", "stop_token", "stop_string", "context", "interrupted"};
  return kNames[static_cast<int>(reason)];
}

namespace {

std::int64_t context_of(const model::CausalLm& model, const GenerateSettings& s) {
  const std::int64_t most = model.config().max_position_embeddings;
  if (s.context < 0 || s.context > most) fail("--context {}: this model has positions for at most {}", s.context, most);
  return s.context > 0 ? s.context : most;
}

// A cache need not hold a context of 160K positions for a short text.
std::int64_t cache_positions(std::int64_t context, const GenerateSettings& s) {
  return s.context > 0 ? context : std::min<std::int64_t>(context, std::max<std::int64_t>(8192, 2 * s.max_tokens));
}

}  // namespace

Generator::Generator(const kernels::Context& cx, const model::CausalLm& model, const GenerateSettings& settings)
    : cx_(cx),
      model_(model),
      settings_(settings),
      context_(cache_positions(context_of(model, settings), settings)),
      cache_(model, model.config().is_mla() ? settings.form : nn::MlaForm::expanded, context_) {
  settings.sampling.check();
  if (settings.max_tokens < 0) fail("max tokens = {}: must be 0 or above", settings.max_tokens);
}

std::int64_t Generator::feed(std::span<const std::int32_t> tokens) {
  if (tokens.empty()) return 0;
  const std::int64_t before = dropped_;
  const auto count = static_cast<std::int64_t>(tokens.size());
  if (count > context_) {
    if (settings_.overflow == Overflow::stop) {
      fail("the prompt has {} tokens, the context {}: shorten it, raise --context or use --overflow drop-oldest", count,
           context_);
    }
    forget(0);
    const auto left_out = tokens.size() - static_cast<std::size_t>(std::max<std::int64_t>(1, context_ / 2));
    tokens = tokens.subspan(left_out);
    dropped_ += static_cast<std::int64_t>(left_out);
    position_ += static_cast<std::int64_t>(left_out);
  }
  if (!make_room(static_cast<std::int64_t>(tokens.size()))) {
    fail(
        "the conversation has {} tokens, {} more do not fit into a context of {}: start anew, raise --context or use "
        "--overflow drop-oldest",
        history_.size(), tokens.size(), context_);
  }
  run(tokens);
  mark_ = {history_, position_, dropped_, logits_, true};
  return dropped_ - before;
}

void Generator::again(std::uint64_t seed) {
  settings_.sampling.seed = seed;
  if (mark_.in_cache) {
    cache_.truncate(sequence_, static_cast<std::int64_t>(mark_.history.size()));
    history_ = mark_.history;
  } else {
    cache_.release(sequence_);
    history_.clear();
    run(mark_.history);
  }
  position_ = mark_.position;
  dropped_ = mark_.dropped;
  logits_ = mark_.logits;
  mark_.in_cache = true;
}

void Generator::clear() {
  cache_.release(sequence_);
  history_.clear();
  logits_ = {};
  mark_ = {};
  position_ = dropped_ = 0;
}

// Chunks end at multiples of 512 positions of the request, so that a prompt's result does not depend on how it was cut.
void Generator::run(std::span<const std::int32_t> tokens) {
  while (!tokens.empty()) {
    const std::int64_t room = 512 - sequence_.length % 512;
    const auto n = std::min(tokens.size(), static_cast<std::size_t>(room));
    const StepItem item{&sequence_, tokens.first(n)};
    const model::ForwardResult r = step(cx_, model_, cache_, {&item, 1}, settings_.crossover);
    history_.insert(history_.end(), tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(n));
    position_ += static_cast<std::int64_t>(n);
    tokens = tokens.subspan(n);
    if (tokens.empty()) logits_ = model_.logits(cx_, r.hidden_TD.rows(r.hidden_TD.size(0) - 1, r.hidden_TD.size(0)));
  }
}

// Reads the last `kept` tokens anew: positions start at 0 again, as the model was trained.
void Generator::forget(std::size_t kept) {
  const std::vector<std::int32_t> rest(history_.end() - static_cast<std::ptrdiff_t>(std::min(kept, history_.size())),
                                       history_.end());
  dropped_ += static_cast<std::int64_t>(history_.size() - rest.size());
  cache_.release(sequence_);
  history_.clear();
  mark_.in_cache = false;
  const std::int64_t position = position_;
  run(rest);
  position_ = position;
}

// Forgets the oldest half where there is no room.
bool Generator::make_room(std::int64_t count) {
  if (sequence_.length + count <= context_) return true;
  if (settings_.overflow == Overflow::stop) return false;
  forget(static_cast<std::size_t>(std::min<std::int64_t>(context_ / 2, context_ - count)));
  return true;
}

Generated Generator::generate(const OnToken& on_token) {
  if (!logits_.defined()) fail("nothing to go on from: the prompt is empty");
  Generated result;
  const auto is_stop = [&](std::int32_t id) {
    return std::find(settings_.stop_tokens.begin(), settings_.stop_tokens.end(), id) != settings_.stop_tokens.end();
  };
  const auto wanted = static_cast<std::size_t>(settings_.max_tokens);
  bool go_on = true, room = true;
  while (go_on && room && result.tokens.size() < wanted) {
    const std::span<const float> raw = logits_.span<float>();
    std::vector<float> filtered(raw.begin(), raw.end());
    const std::int32_t id = sample(filtered, settings_.sampling, history_, position_);
    if (is_stop(id)) {
      result.reason = StopReason::stop_token;
      result.stop_token = id;
      break;
    }
    result.logprobs.push_back(ops::log_prob_of_row(cx_, raw, id));
    result.tokens.push_back(id);
    go_on = on_token(id);
    room = make_room(1);
    if (room) run({&id, 1});
  }
  if (!go_on) {
    result.reason = StopReason::stop_string;
  } else if (!room && result.tokens.size() < wanted) {
    result.reason = StopReason::context;
  }
  result.dropped = std::exchange(dropped_, 0);
  return result;
}

std::string StopStream::push(std::int32_t id) {
  if (stopped_) return {};
  held_ += decoder_.push(id);
  return release(false);
}

std::string StopStream::finish() {
  if (stopped_) return {};
  held_ += decoder_.finish();
  return release(true);
}

std::string StopStream::release(bool all) {
  std::size_t end = all ? held_.size() : std::string::npos;
  std::size_t found = std::string::npos;
  for (const std::string& s : stop_) found = s.empty() ? found : std::min(found, held_.find(s));
  if (found != std::string::npos) {
    stopped_ = true;
    std::string out = held_.substr(0, found);
    held_.clear();
    return out;
  }
  if (!all) {
    // Keep the longest end of the text that begins a stop string.
    end = held_.size();
    for (const std::string& s : stop_) {
      for (std::size_t n = std::min(s.size(), held_.size()); n > 0; --n) {
        if (held_.compare(held_.size() - n, n, s, 0, n) == 0) {
          end = std::min(end, held_.size() - n);
          break;
        }
      }
    }
  }
  std::string out = held_.substr(0, end);
  held_.erase(0, end);
  return out;
}

}  // namespace hadal::engine
