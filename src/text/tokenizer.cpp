#include "text/tokenizer.h"

#include <algorithm>

#include "text/normalize.h"
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

namespace hadal::text {

namespace {

constexpr std::size_t kCacheFrom = 1024;  // bytes from which a cache made for one call pays

}  // namespace

struct Tokenizer::Mode {
  bool special = false;  // with what the post-processor adds
  bool as_text = false;  // control tokens are text
};

void Tokenizer::encode_text(std::string_view text, bool as_text, WordCache* cache,
                            std::vector<std::int32_t>& ids) const {
  const Parts& parts = *parts_;
  bool prefix = true;  // no space is put where a control token's text begins or ends
  const auto token = [&](std::int32_t id) {
    ids.push_back(id);
    prefix = true;
  };
  const auto words = [&](std::string_view stretch) {
    parts.pretokenizer.run(
        stretch, [&](std::string_view piece) { parts.model->encode(piece, ids, cache); }, prefix);
    prefix = false;
  };
  const auto raw_words = [&](std::string_view spelled) { parts.nfc ? words(nfc(spelled)) : words(spelled); };
  const PieceSink inner_sink(words), outer_sink(raw_words);
  const auto cut_normalized = [&](std::string_view gap) {
    parts.normalized.cut(gap, words, token, as_text ? &inner_sink : nullptr);
  };
  parts.raw.cut(
      text, [&](std::string_view gap) { parts.nfc ? cut_normalized(nfc(gap)) : cut_normalized(gap); }, token,
      as_text ? &outer_sink : nullptr);
}

void Tokenizer::encode_all(std::string_view text, Mode mode, WordCache* cache, std::vector<std::int32_t>& ids) const {
  if (mode.special) ids.insert(ids.end(), parts_->before.begin(), parts_->before.end());
  encode_text(text, mode.as_text, cache, ids);
  if (mode.special) ids.insert(ids.end(), parts_->after.begin(), parts_->after.end());
}

std::vector<std::int32_t> Tokenizer::encode_whole(std::string_view text, Mode mode) const {
  std::vector<std::int32_t> ids;
  ids.reserve(text.size() / 4 + 8);
  if (text.size() < kCacheFrom) {
    encode_all(text, mode, nullptr, ids);
  } else {
    WordCache cache(std::clamp<std::size_t>(text.size() / 8, 64, std::size_t{1} << 15));
    encode_all(text, mode, &cache, ids);
  }
  return ids;
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, bool add_special_tokens) const {
  return encode_whole(text, {.special = add_special_tokens});
}

void Tokenizer::encode_to(std::string_view text, bool add_special_tokens, WordCache& cache,
                          std::vector<std::int32_t>& ids) const {
  encode_all(text, {.special = add_special_tokens}, &cache, ids);
}

std::vector<std::int32_t> Tokenizer::encode_as_text(std::string_view text) const {
  return encode_whole(text, {.as_text = true});
}

void Tokenizer::encode_as_text_to(std::string_view text, WordCache& cache, std::vector<std::int32_t>& ids) const {
  encode_all(text, {.as_text = true}, &cache, ids);
}

std::string Tokenizer::decode_bytes(std::span<const std::int32_t> ids, bool skip_special_tokens) const {
  std::string bytes;
  for (const std::int32_t id : ids) {
    if (!(skip_special_tokens && is_special(id))) bytes += token_bytes(id);
  }
  return bytes;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const {
  return lossy_utf8(decode_bytes(ids, skip_special_tokens));
}

std::int32_t Tokenizer::vocab_size() const { return static_cast<std::int32_t>(parts_->tokens.size()); }

std::optional<std::int32_t> Tokenizer::token_id(std::string_view token) const {
  const auto place = parts_->ids.find(token);
  if (place == parts_->ids.end()) return std::nullopt;
  return place->second;
}

std::string_view Tokenizer::token_bytes(std::int32_t id) const {
  if (id < 0 || id >= vocab_size()) return {};
  return parts_->tokens[static_cast<std::size_t>(id)].bytes;
}

bool Tokenizer::is_special(std::int32_t id) const {
  return id >= 0 && id < vocab_size() && parts_->tokens[static_cast<std::size_t>(id)].special;
}

bool Tokenizer::is_added(std::int32_t id) const {
  return id >= 0 && id < vocab_size() && parts_->tokens[static_cast<std::size_t>(id)].added;
}

bool Tokenizer::is_control(std::int32_t id) const {
  return id >= 0 && id < vocab_size() && parts_->tokens[static_cast<std::size_t>(id)].control;
}

std::optional<std::int32_t> Tokenizer::bos_id() const { return parts_->role("bos_token"); }
std::optional<std::int32_t> Tokenizer::eos_id() const { return parts_->role("eos_token"); }
std::optional<std::int32_t> Tokenizer::pad_id() const { return parts_->role("pad_token"); }
const std::vector<SpecialToken>& Tokenizer::special_tokens() const { return parts_->special_tokens; }
const std::vector<SpecialToken>& Tokenizer::outside_tokens() const { return parts_->outside; }
const StopTokens& Tokenizer::stop_tokens() const { return parts_->stop; }
std::uint64_t Tokenizer::fingerprint() const { return parts_->print.value(); }
const std::vector<std::string>& Tokenizer::warnings() const { return parts_->warnings; }

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens)
    : tokenizer_(tokenizer), skip_special_tokens_(skip_special_tokens) {}

std::string StreamDecoder::push(std::int32_t id) {
  if (skip_special_tokens_ && tokenizer_.is_special(id)) return {};
  held_ += tokenizer_.token_bytes(id);
  const std::size_t keep = unfinished_utf8(held_);
  std::string out = lossy_utf8(std::string_view(held_).substr(0, held_.size() - keep));
  held_.erase(0, held_.size() - keep);
  return out;
}

std::string StreamDecoder::finish() {
  std::string out = lossy_utf8(held_);
  held_.clear();
  return out;
}

}  // namespace hadal::text
