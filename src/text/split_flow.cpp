#include "text/split_flow.h"

#include <algorithm>

#include "text/scan.h"
#include "text/unicode.h"

namespace hadal::text {

void SplitFlow::push(std::string_view bytes, bool last) {
  if (last && held_.empty() && !open_ && !previous_) {
    if (!bytes.empty()) search(bytes, true);
  } else {
    held_.append(bytes);
    if (!last && !held_.is_due()) return;
    search(held_.text(), last);
  }
  if (last) {
    if (open_) next_.push({}, true);
    held_.clear();
    cursor_ = {};
    given_ = 0;
    in_gap_ = open_ = false;
    previous_.reset();
    return;
  }
  const std::size_t kept = std::min(cursor_.start, pattern_.look_behind());
  const std::size_t dropped = std::min(given_, cursor_.start - kept);
  held_.drop(dropped);
  given_ -= dropped;
  cursor_.start -= dropped;
  // An end that is dropped was not the start: an empty match there is none already.
  cursor_.last = cursor_.last >= dropped && cursor_.last != Cursor{}.last ? cursor_.last - dropped : Cursor{}.last;
}

void SplitFlow::search(std::string_view text, bool last) {
  const std::string_view whole = last ? text : text.substr(0, text.size() - unfinished_utf8(text));
  pattern_.find(whole, cursor_, !last, [&](std::size_t begin, std::size_t end) {
    gap_up_to(text, begin, true);
    in_gap_ = false;
    begin_range(!invert_);
    give(text.substr(begin, end - begin), true);
    given_ = end;
  });
  gap_up_to(text, last ? text.size() : cursor_.start, last);
}

// `whole`: the gap ends there.
void SplitFlow::gap_up_to(std::string_view text, std::size_t end, bool whole) {
  if (end <= given_) return;
  if (!in_gap_) begin_range(invert_);
  in_gap_ = true;
  give(text.substr(given_, end - given_), whole);
  given_ = end;
}

void SplitFlow::begin_range(bool match) {
  const bool joins = previous_ && joined(behavior_, *previous_, match);
  previous_ = match;
  if (joins || !open_) return;
  next_.push({}, true);
  open_ = false;
}

// Part of the range begun last, all that is left of it if `whole`.
void SplitFlow::give(std::string_view bytes, bool whole) {
  if (bytes.empty() || (behavior_ == SplitBehavior::removed && *previous_)) return;
  const bool ends = whole && (behavior_ == SplitBehavior::isolated || behavior_ == SplitBehavior::removed);
  next_.push(bytes, ends);
  open_ = !ends;
}

void DigitsFlow::push(std::string_view bytes, bool last) {
  if (!half_.empty()) {
    half_ += bytes;
    bytes = half_;
  }
  const std::size_t kept = last ? 0 : unfinished_utf8(bytes);
  const char* const end = bytes.data() + bytes.size() - kept;
  const char* start = bytes.data();
  for (const char* p = start; p < end;) {
    const Scanned c = scan(p, end);
    const bool digit = is_digit(c);
    if (digits_ && (digit != *digits_ || (digit && individual_))) {
      next_.push({start, static_cast<std::size_t>(p - start)}, true);
      start = p;
    }
    digits_ = digit;
    p += c.size;
  }
  if (start < end || last) next_.push({start, static_cast<std::size_t>(end - start)}, last);
  half_ = std::string(end, kept);
  if (last) digits_.reset();
}

void PrefixFlow::push(std::string_view bytes, bool last) {
  if (!begun_ && !bytes.empty()) {
    begun_ = true;
    if (prefix_ && bytes.front() != ' ') next_.push(" ", false);
  }
  if (begun_) next_.push(bytes, last);
  if (last) begun_ = false;
}

}  // namespace hadal::text
