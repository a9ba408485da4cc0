#include "text/added_tokens.h"

#include <algorithm>
#include <utility>

#include "text/scan.h"

namespace hadal::text {

namespace {

// The last character before p, walking back over at most three continuation bytes.
Scanned scan_back(const char* begin, const char* p) {
  const char* q = p - 1;
  while (q > begin && p - q < 4 && (static_cast<std::uint8_t>(*q) & 0xC0) == 0x80) --q;
  const Scanned c = scan(q, p);
  if (q + c.size == p) return c;
  return {kInvalid, 1, CharClass::other};
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)), nodes_(1) {
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    if (tokens_[i].content.empty()) continue;
    std::size_t node = 0;
    for (const char c : tokens_[i].content) {
      const auto byte = static_cast<std::uint8_t>(c);
      auto& next = nodes_[node].next;
      auto place = std::lower_bound(next.begin(), next.end(), std::pair(byte, std::int32_t{0}));
      if (place == next.end() || place->first != byte) {
        place = next.insert(place, {byte, static_cast<std::int32_t>(nodes_.size())});
        node = nodes_.size();
        nodes_.emplace_back();
      } else {
        node = static_cast<std::size_t>(place->second);
      }
    }
    any_lstrip_ = any_lstrip_ || tokens_[i].lstrip;
    if (nodes_[node].token < 0) nodes_[node].token = static_cast<std::int32_t>(i);
  }
  for (const auto& [byte, node] : nodes_[0].next) roots_[byte] = node;
}

AddedTokenFinder::Longest AddedTokenFinder::longest(const char* p, const char* end) const {
  Longest found;
  std::int32_t node = roots_[static_cast<std::uint8_t>(*p)];
  for (const char* q = p + 1; node != 0; ++q) {
    const Node& here = nodes_[static_cast<std::size_t>(node)];
    if (here.token >= 0) found.token = here.token, found.size = static_cast<std::size_t>(q - p);
    if (q == end) {
      found.cut_off = !here.next.empty();
      break;
    }
    const auto byte = static_cast<std::uint8_t>(*q);
    const auto place = std::lower_bound(here.next.begin(), here.next.end(), std::pair(byte, std::int32_t{0}));
    node = place != here.next.end() && place->first == byte ? place->second : 0;
  }
  return found;
}

void AddedTokenFinder::cut(std::string_view text, PieceSink gap, Sink<std::int32_t> token,
                           const PieceSink* control) const {
  CutPlace place;
  const auto give = [&](std::string_view bytes, bool /*whole*/) {
    if (!bytes.empty()) gap(bytes);
  };
  cut(text, place, false, give, token, control);
}

void AddedTokenFinder::cut(std::string_view text, CutPlace& place, bool open, Sink<std::string_view, bool> gap,
                           Sink<std::int32_t> token, const PieceSink* control) const {
  constexpr std::ptrdiff_t kLongestChar = 4;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const char* done = begin + place.done;
  const char* p = tokens_.empty() ? end : begin + place.at;
  const auto between = [](const char* from, const char* to) {
    return std::string_view(from, from < to ? static_cast<std::size_t>(to - from) : 0);
  };
  while (p < end) {
    const Longest found = roots_[static_cast<std::uint8_t>(*p)] != 0 ? longest(p, end) : Longest{};
    if (open && found.cut_off) break;
    if (found.token < 0) {
      ++p;
      continue;
    }
    const AddedToken& added = tokens_[static_cast<std::size_t>(found.token)];
    const bool as_text = control != nullptr && added.control;
    const char* start = p;
    const char* const after = p + found.size;
    const char* const stop = added.rstrip && !as_text ? skip(after, end, ClassSet{CharClass::white}) : after;
    if (open && (added.single_word || added.rstrip) && end - stop < kLongestChar) break;
    // White space that a token before it has swallowed is no place for one that would swallow it, too.
    if (added.lstrip && !as_text && stop <= done) {
      p = after;
      continue;
    }
    p = after;  // also past a token that does not count; white space after it may begin the next token
    if (added.single_word && ((start > begin && is_word(scan_back(begin, start).code_point)) ||
                              (after < end && is_word(scan(after, end).code_point)))) {
      continue;
    }
    while (added.lstrip && !as_text && start > done) {
      const Scanned c = scan_back(begin, start);
      if (c.kind != CharClass::white) break;
      start -= c.size;
    }
    gap(between(done, start), true);
    if (!as_text) {
      token(added.id);
    } else if (stop > done) {  // a token before it may have swallowed white space that it begins with
      (*control)(between(std::max(start, done), stop));
    }
    done = stop;
  }
  if (!open) {
    gap(between(done, end), true);
    return;
  }
  const char* sure = std::max(p, done);  // white space at its end may belong to an lstrip token that follows
  while (any_lstrip_ && sure > done) {
    const Scanned c = scan_back(begin, sure);
    if (c.kind != CharClass::white) break;
    sure -= c.size;
  }
  gap(between(done, sure), false);
  place = {static_cast<std::size_t>(p - begin), static_cast<std::size_t>(std::max(done, sure) - begin)};
}

}  // namespace hadal::text
