#include "text/tokenizer.h"

#include <algorithm>

#include "text/normalize.h"
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

namespace hadal::text {

namespace {

constexpr std::size_t kCacheFrom = 1024;  // bytes from which a cache made for one call pays

// Bytes at the end that begin a character which is not complete yet. Two bytes of a surrogate's three are kept, too:
// Python's incremental decoder, the reference of this, gives them up only with the third.
std::size_t unfinished(std::string_view bytes) {
  const char* const end = bytes.data() + bytes.size();
  for (std::size_t back = std::min<std::size_t>(3, bytes.size()); back > 0; --back) {
    const char* p = end - back;
    bool complete = false;
    if (utf8_prefix(p, end, complete) == back && !complete) return back;
    if (back == 2 && p[0] == '\xED' && (p[1] & 0xE0) == 0xA0) return back;
  }
  return 0;
}

}  // namespace

void Tokenizer::encode_text(std::string_view text, WordCache* cache, std::vector<std::int32_t>& ids) const {
  const Parts& parts = *parts_;
  const auto token = [&](std::int32_t id) { ids.push_back(id); };
  const auto words = [&](std::string_view stretch) {
    parts.pretokenizer.run(stretch, [&](std::string_view piece) { parts.model->encode(piece, ids, cache); });
  };
  parts.raw.cut(
      text,
      [&](std::string_view gap) {
        if (!parts.nfc) return parts.normalized.cut(gap, words, token);
        const std::string normal = nfc(gap);
        parts.normalized.cut(normal, words, token);
      },
      token);
}

void Tokenizer::encode_all(std::string_view text, bool special, WordCache* cache,
                           std::vector<std::int32_t>& ids) const {
  if (special) ids.insert(ids.end(), parts_->before.begin(), parts_->before.end());
  encode_text(text, cache, ids);
  if (special) ids.insert(ids.end(), parts_->after.begin(), parts_->after.end());
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, bool add_special_tokens) const {
  std::vector<std::int32_t> ids;
  ids.reserve(text.size() / 4 + 8);
  if (text.size() < kCacheFrom) {
    encode_all(text, add_special_tokens, nullptr, ids);
  } else {
    WordCache cache(std::clamp<std::size_t>(text.size() / 8, 64, std::size_t{1} << 15));
    encode_all(text, add_special_tokens, &cache, ids);
  }
  return ids;
}

void Tokenizer::encode_to(std::string_view text, bool add_special_tokens, WordCache& cache,
                          std::vector<std::int32_t>& ids) const {
  encode_all(text, add_special_tokens, &cache, ids);
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

std::optional<std::int32_t> Tokenizer::bos_id() const { return parts_->bos; }
std::optional<std::int32_t> Tokenizer::eos_id() const { return parts_->eos; }
std::optional<std::int32_t> Tokenizer::pad_id() const { return parts_->pad; }
bool Tokenizer::add_bos_token() const { return parts_->add_bos_token; }
const std::vector<std::string>& Tokenizer::warnings() const { return parts_->warnings; }

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens)
    : tokenizer_(tokenizer), skip_special_tokens_(skip_special_tokens) {}

std::string StreamDecoder::push(std::int32_t id) {
  if (skip_special_tokens_ && tokenizer_.is_special(id)) return {};
  held_ += tokenizer_.token_bytes(id);
  const std::size_t keep = unfinished(held_);
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
