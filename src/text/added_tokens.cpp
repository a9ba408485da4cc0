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
    if (nodes_[node].token < 0) nodes_[node].token = static_cast<std::int32_t>(i);
  }
  for (const auto& [byte, node] : nodes_[0].next) roots_[byte] = node;
}

std::int32_t AddedTokenFinder::longest(const char* p, const char* end, std::size_t& size) const {
  std::int32_t found = -1;
  std::int32_t node = roots_[static_cast<std::uint8_t>(*p)];
  for (const char* q = p + 1; node != 0; ++q) {
    const Node& here = nodes_[static_cast<std::size_t>(node)];
    if (here.token >= 0) found = here.token, size = static_cast<std::size_t>(q - p);
    if (q == end) break;
    const auto byte = static_cast<std::uint8_t>(*q);
    const auto place = std::lower_bound(here.next.begin(), here.next.end(), std::pair(byte, std::int32_t{0}));
    node = place != here.next.end() && place->first == byte ? place->second : 0;
  }
  return found;
}

void AddedTokenFinder::cut(std::string_view text, PieceSink gap, Sink<std::int32_t> token,
                           const PieceSink* control) const {
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const char* done = begin;  // all before it is given out
  for (const char* p = begin; p < end && !tokens_.empty();) {
    std::size_t size = 0;
    const std::int32_t found = roots_[static_cast<std::uint8_t>(*p)] != 0 ? longest(p, end, size) : -1;
    if (found < 0) {
      ++p;
      continue;
    }
    const AddedToken& added = tokens_[static_cast<std::size_t>(found)];
    const char* start = p;
    const char* stop = p + size;
    p = stop;  // also past a token that does not count; white space after it may begin the next token
    if (added.single_word && ((start > begin && is_word(scan_back(begin, start).code_point)) ||
                              (stop < end && is_word(scan(stop, end).code_point)))) {
      continue;
    }
    const bool as_text = control != nullptr && added.control;
    while (added.lstrip && !as_text && start > done) {
      const Scanned c = scan_back(begin, start);
      if (c.kind != CharClass::white) break;
      start -= c.size;
    }
    if (added.rstrip && !as_text) stop = skip(stop, end, ClassSet{CharClass::white});
    if (start > done) gap({done, static_cast<std::size_t>(start - done)});
    if (as_text) {
      start = std::max(start, done);  // a token before it may have swallowed white space that it begins with
      if (stop > start) (*control)({start, static_cast<std::size_t>(stop - start)});
    } else {
      token(added.id);
    }
    done = stop;
  }
  if (done < end) gap({done, static_cast<std::size_t>(end - done)});
}

}  // namespace hadal::text
