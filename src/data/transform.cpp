#include "data/transform.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/rng.h"
#include "text/special_tokens.h"
#include "text/unicode.h"

namespace hadal::data {

namespace {

// Streams of a text's key.
constexpr std::uint64_t kFim = 0, kSplit = 1, kCuts = 2;

bool is_line_end(char32_t c) { return c == '\n' || c == '\r'; }

// `bytes` cut where line ends begin or stop; empty if it is not punctuation (with blanks around it) and line ends.
std::vector<std::string> runs(std::string_view bytes) {
  std::vector<std::string> all;
  bool punctuation = false, before = false;
  for (const char *p = bytes.data(), *end = p + bytes.size(); p < end;) {
    const text::Decoded c = text::decode_utf8(p, end);
    if (c.code_point == text::kInvalid) return {};
    const text::CharClass kind = text::char_class(c.code_point);
    const bool mark = kind == text::CharClass::punctuation || kind == text::CharClass::symbol;
    if (!mark && kind != text::CharClass::white) return {};
    punctuation = punctuation || mark;
    if (all.empty() || is_line_end(c.code_point) != before) all.emplace_back();
    before = is_line_end(c.code_point);
    all.back().append(p, c.size);
    p += c.size;
  }
  return punctuation && all.size() > 1 ? all : std::vector<std::string>();
}

// Added tokens of a text: a cut inside one would take it apart.
struct AddedRange {
  std::size_t begin, end;
  std::int32_t id;
};
using Ranges = std::vector<AddedRange>;

// The first place from `at` on where a character begins, outside added tokens.
std::size_t next_cut(const std::string& text, const Ranges& added, std::size_t at) {
  for (const auto& [begin, end, id] : added) {
    if (at > begin && at < end) at = end;
  }
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  return at;
}

// Ids of text[begin, end), which cuts no added token: control tokens stay, text that spells one stays text.
void encode_between(const text::Tokenizer& tokenizer, std::string_view text, const Ranges& added, std::size_t begin,
                    std::size_t end, std::vector<std::int32_t>& ids) {
  const auto encode = [&](std::size_t up_to) {
    const std::vector<std::int32_t> part = tokenizer.encode_as_text(text.substr(begin, up_to - begin));
    ids.insert(ids.end(), part.begin(), part.end());
  };
  for (const AddedRange& token : added) {
    if (token.begin < begin || token.end > end || !tokenizer.is_control(token.id)) continue;
    encode(token.begin);
    ids.push_back(token.id);
    begin = token.end;
  }
  encode(end);
}

}  // namespace

DocumentTransform::DocumentTransform(const text::Tokenizer& tokenizer, const TransformOptions& options)
    : tokenizer_(tokenizer), options_(options) {
  if (options.fim_rate > 0) {
    for (const auto& [name, id] : {std::pair{text::kFimBeginName, &begin_}, std::pair{text::kFimHoleName, &hole_},
                                   std::pair{text::kFimEndName, &end_}}) {
      const auto found = tokenizer.token_id(name);
      if (!found) fail("data.fim_rate = {}: the tokenizer has no token {}", options.fim_rate, name);
      *id = *found;
    }
    // A prefix space would come in before each piece.
    if (tokenizer.decode_bytes(tokenizer.encode("a")) != "a")
      fail("data.fim_rate = {}: this tokenizer changes the text it encodes", options.fim_rate);
  }
  if (options.split_rate > 0) {
    find_parts();
    if (parts_.empty()) {
      fail("data.split_rate = {}: the tokenizer has no token that joins punctuation and a line end: must be 0",
           options.split_rate);
    }
  }
}

void DocumentTransform::find_parts() {
  for (std::int32_t id = 0; id < tokenizer_.vocab_size(); ++id) {
    if (tokenizer_.is_added(id)) continue;
    std::vector<std::int32_t> ids;
    for (const std::string& run : runs(tokenizer_.token_bytes(id))) {
      const std::vector<std::int32_t> part = tokenizer_.encode(run);
      ids.insert(ids.end(), part.begin(), part.end());
    }
    if (ids.size() > 1 && tokenizer_.decode_bytes(ids) == tokenizer_.token_bytes(id)) parts_[id] = std::move(ids);
  }
}

Transformed DocumentTransform::apply(std::uint64_t key, std::vector<std::int32_t> tokens,
                                     std::size_t max_turned) const {
  Transformed t;
  if (options_.fim_rate == 0 || tokens.empty() || Rng(key, kFim, 0).uniform() >= options_.fim_rate) {
    t.tokens = split(key, tokens, 0);
    return t;
  }
  const std::span<const std::int32_t> all = tokens;
  std::size_t taken = std::min(all.size(), max_turned);
  for (;;) {
    t.tokens = split(key, turn(key, all.first(taken)), 0);
    if (t.tokens.size() <= max_turned || taken == 1) break;
    taken -= std::min(taken - 1, t.tokens.size() - max_turned);
  }
  t.turned = t.tokens.size();
  t.before_rest = all[taken - 1];
  const std::vector<std::int32_t> rest = split(key, all.subspan(taken), t.turned);
  t.tokens.insert(t.tokens.end(), rest.begin(), rest.end());
  return t;
}

std::vector<std::int32_t> DocumentTransform::turn(std::uint64_t key, std::span<const std::int32_t> tokens) const {
  const auto eos = tokenizer_.eos_id();
  if (eos && tokens.back() == *eos) tokens = tokens.first(tokens.size() - 1);
  std::string text;
  Ranges added;
  for (const std::int32_t id : tokens) {
    const std::string_view bytes = tokenizer_.token_bytes(id);
    if (tokenizer_.is_added(id)) added.push_back({text.size(), text.size() + bytes.size(), id});
    text += bytes;
  }
  Rng random(key, kCuts, 0);
  std::array<std::size_t, 2> cut{};
  for (std::size_t& c : cut) c = next_cut(text, added, random.below(text.size() + 1));
  std::sort(cut.begin(), cut.end());
  std::vector<std::int32_t> ids{begin_};
  encode_between(tokenizer_, text, added, 0, cut[0], ids);
  ids.push_back(hole_);
  encode_between(tokenizer_, text, added, cut[1], text.size(), ids);
  ids.push_back(end_);
  encode_between(tokenizer_, text, added, cut[0], cut[1], ids);
  if (eos) ids.push_back(*eos);
  return ids;
}

// first: number of tokens[0], by which its own split is keyed.
std::vector<std::int32_t> DocumentTransform::split(std::uint64_t key, std::span<const std::int32_t> tokens,
                                                   std::size_t first) const {
  std::vector<std::int32_t> ids;
  ids.reserve(tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto found = options_.split_rate > 0 ? parts_.find(tokens[i]) : parts_.end();
    if (found == parts_.end() || Rng(key, kSplit, first + i).uniform() >= options_.split_rate) {
      ids.push_back(tokens[i]);
    } else {
      ids.insert(ids.end(), found->second.begin(), found->second.end());
    }
  }
  return ids;
}

}  // namespace hadal::data
