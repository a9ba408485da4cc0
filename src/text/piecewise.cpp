#include "text/piecewise.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "text/flow.h"
#include "text/normalize.h"
#include "text/scan.h"
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

namespace hadal::text {

namespace {

// Cuts added tokens out: gaps go to `next`, tokens and the texts of control tokens to their sinks, in order.
class AddedTokenFlow final : public Flow {
 public:
  AddedTokenFlow(const AddedTokenFinder& finder, Flow& next, Sink<std::int32_t> token, const PieceSink* control,
                 std::size_t window)
      : finder_(finder), next_(next), token_(token), control_(control), held_(window) {}

  void push(std::string_view bytes, bool last) override {
    if (last && held_.empty()) {
      cut(bytes, true);
    } else {
      held_.append(bytes);
      if (!last && !held_.is_due()) return;
      cut(held_.text(), last);
    }
    if (last) {
      held_.clear();
      place_ = {};
      return;
    }
    constexpr std::size_t kContext = 8;  // a character before the place, for single_word
    const std::size_t first = std::min(place_.at, place_.done);
    const std::size_t dropped = first - std::min(first, kContext);
    held_.drop(dropped);
    place_.at -= dropped;
    place_.done -= dropped;
  }

 private:
  void cut(std::string_view text, bool last) {
    if (!last) text.remove_suffix(unfinished_utf8(text));
    finder_.cut(
        text, place_, !last, [this](std::string_view gap, bool whole) { next_.push(gap, whole); }, token_, control_);
  }

  const AddedTokenFinder& finder_;
  Flow& next_;
  Sink<std::int32_t> token_;
  const PieceSink* control_;
  Held held_;
  CutPlace place_;  // in what is held
};

class NfcFlow final : public Flow {
 public:
  NfcFlow(std::size_t window, Flow& next) : next_(next), held_(window) {}

  void push(std::string_view bytes, bool last) override {
    held_.append(bytes);
    if (!last && !held_.is_due()) return;
    const std::size_t size = last ? held_.text().size() : last_boundary(held_.text());
    next_.push(nfc(held_.text().substr(0, size)), last);
    held_.drop(size);
  }

 private:
  // The last place across which nothing composes or is reordered: before a character that NFC leaves as it is.
  static std::size_t last_boundary(std::string_view text) {
    const char* const begin = text.data();
    const char* const end = begin + text.size() - unfinished_utf8(text);
    std::size_t boundary = 0;
    for (const char* p = begin; p < end;) {
      const Decoded c = decode_utf8(p, end);
      if (c.code_point != kInvalid && !nfc_active(c.code_point)) boundary = static_cast<std::size_t>(p - begin);
      p += c.size;
    }
    return boundary;
  }

  Flow& next_;
  Held held_;
};

class BpeFlow final : public Flow {
 public:
  BpeFlow(const BpeModel& model, std::size_t window) : model_(model), piece_(window) {}
  void set_ids(std::vector<std::int32_t>* ids) { ids_ = ids; }

  void push(std::string_view bytes, bool last) override {
    if (last && piece_.empty()) {
      model_.encode(bytes, *ids_, &cache_);
      return;
    }
    piece_.append(bytes);
    if (!last) return;
    model_.encode(piece_.text(), *ids_, &cache_);
    piece_.clear();
  }

 private:
  const BpeModel& model_;
  WordCache cache_;
  Held piece_;
  std::vector<std::int32_t>* ids_ = nullptr;
};

}  // namespace

class PiecewiseEncoder::Chain final : public Flow {
 public:
  Chain(const Tokenizer& tokenizer, ControlTokens control, std::size_t window)
      : tokenizer_(tokenizer),
        parts_(*tokenizer.parts_),
        as_text_(control == ControlTokens::as_text),
        settings_{prefix_, window},
        model_(*parts_.model, window),
        steps_(parts_.pretokenizer.flows(settings_, model_)),
        normalized_(parts_.normalized, *this, token_sink_, as_text_ ? &words_sink_ : nullptr, window),
        nfc_(window, normalized_),
        raw_(parts_.raw, parts_.nfc ? static_cast<Flow&>(nfc_) : normalized_, token_sink_,
             as_text_ ? &raw_words_sink_ : nullptr, window) {}

  void take(std::string_view bytes, bool last, std::vector<std::int32_t>& ids) {
    ids_ = &ids;
    model_.set_ids(&ids);
    raw_.push(bytes, last);
    if (last) prefix_ = true;
  }

  // A stretch between added tokens, ready for the pre-tokenizer.
  void push(std::string_view bytes, bool last) override {
    begun_ = begun_ || !bytes.empty();
    (steps_.empty() ? static_cast<Flow&>(model_) : *steps_.back()).push(bytes, last);
    if (!last) return;
    if (begun_) prefix_ = false;
    begun_ = false;
  }

 private:
  void token(std::int32_t id) {
    ids_->push_back(id);
    prefix_ = true;
  }

  Tokenizer tokenizer_;  // keeps the parts alive
  const Tokenizer::Parts& parts_;
  bool as_text_;
  bool prefix_ = true;  // no space is put where a control token's text begins or ends
  bool begun_ = false;
  std::vector<std::int32_t>* ids_ = nullptr;
  std::function<void(std::int32_t)> on_token_ = [this](std::int32_t id) { token(id); };
  std::function<void(std::string_view)> on_words_ = [this](std::string_view text) { push(text, true); };
  std::function<void(std::string_view)> on_raw_words_ = [this](std::string_view text) {
    parts_.nfc ? push(nfc(text), true) : push(text, true);
  };
  Sink<std::int32_t> token_sink_{on_token_};
  PieceSink words_sink_{on_words_}, raw_words_sink_{on_raw_words_};
  FlowSettings settings_;
  BpeFlow model_;
  std::vector<std::unique_ptr<Flow>> steps_;  // the pre-tokenizer's, the last one first
  AddedTokenFlow normalized_;
  NfcFlow nfc_;
  AddedTokenFlow raw_;
};

PiecewiseEncoder::PiecewiseEncoder(const Tokenizer& tokenizer, ControlTokens control, std::size_t window)
    : chain_(std::make_unique<Chain>(tokenizer, control, window)) {}
PiecewiseEncoder::~PiecewiseEncoder() = default;
PiecewiseEncoder::PiecewiseEncoder(PiecewiseEncoder&&) noexcept = default;
PiecewiseEncoder& PiecewiseEncoder::operator=(PiecewiseEncoder&&) noexcept = default;

void PiecewiseEncoder::push(std::string_view bytes, std::vector<std::int32_t>& ids) { chain_->take(bytes, false, ids); }

void PiecewiseEncoder::finish(std::vector<std::int32_t>& ids) { chain_->take({}, true, ids); }

}  // namespace hadal::text
