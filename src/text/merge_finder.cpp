#include "text/merge_finder.h"

#include <algorithm>

namespace hadal::text {

namespace {

std::uint64_t hash_pair(std::int32_t left, std::int32_t right) {
  const std::uint64_t key =
      static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
  const std::uint64_t mixed = key * 0x9E3779B97F4A7C15u;
  return mixed ^ mixed >> 32;
}

}  // namespace

void MergeFinder::add_word(const std::vector<Id>& ids, std::int64_t weight) {
  words_.push_back({symbols_.size(), static_cast<std::uint32_t>(ids.size()), weight});
  symbols_.insert(symbols_.end(), ids.begin(), ids.end());
}

void MergeFinder::start() {
  grow();
  for (std::uint32_t w = 0; w < words_.size(); ++w) {
    const Word& word = words_[w];
    for (std::uint32_t i = 0; i + 1 < word.size; ++i) {
      change(symbols_[word.start + i], symbols_[word.start + i + 1], word.weight, w);
    }
  }
  heap_.reserve(pairs_.size());
  for (const std::uint32_t index : fresh_) {
    Pair& pair = pairs_[index];
    pair.fresh = false;
    heap_.push_back({pair.count, pair.left, pair.right, index});
  }
  fresh_.clear();
  std::make_heap(heap_.begin(), heap_.end());
}

void MergeFinder::grow() {
  slots_.assign(std::max<std::size_t>(slots_.size() * 2, std::size_t{1} << 16), 0);
  const std::size_t mask = slots_.size() - 1;
  for (std::uint32_t index = 0; index < pairs_.size(); ++index) {
    std::size_t i = hash_pair(pairs_[index].left, pairs_[index].right) & mask;
    while (slots_[i] != 0) i = (i + 1) & mask;
    slots_[i] = index + 1;
  }
}

std::uint32_t MergeFinder::pair_index(Id left, Id right) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t i = hash_pair(left, right) & mask;
  for (; slots_[i] != 0; i = (i + 1) & mask) {
    const Pair& pair = pairs_[slots_[i] - 1];
    if (pair.left == left && pair.right == right) return slots_[i] - 1;
  }
  const auto index = static_cast<std::uint32_t>(pairs_.size());
  slots_[i] = index + 1;
  pairs_.push_back({left, right, 0, true, {}});
  fresh_.push_back(index);
  if (pairs_.size() * 2 > slots_.size()) grow();
  return index;
}

void MergeFinder::change(Id left, Id right, std::int64_t by, std::uint32_t word) {
  const std::uint32_t index = pair_index(left, right);
  Pair& pair = pairs_[index];
  pair.count += by;
  if (by < 0) return;
  if (pair.words.empty() || pair.words.back() != word) pair.words.push_back(word);
  if (!pair.fresh) {  // a merged pair can come up again when two merges share an id
    pair.fresh = true;
    fresh_.push_back(index);
  }
}

bool MergeFinder::next(std::int64_t least, Found& found) {
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end());
    Candidate& top = heap_.back();
    const std::int64_t count = pairs_[top.pair].count;
    if (top.count != count) {  // counts in the heap are only ever too high
      if (count >= least) {
        top.count = count;
        std::push_heap(heap_.begin(), heap_.end());
      } else {
        heap_.pop_back();
      }
      continue;
    }
    if (count < least) return false;
    found = {top.left, top.right, count};
    heap_.pop_back();
    return true;
  }
  return false;
}

void MergeFinder::merge(const Found& pair, Id result) {
  const std::uint32_t index = pair_index(pair.left, pair.right);
  const std::vector<std::uint32_t> words = std::move(pairs_[index].words);
  pairs_[index].words.clear();
  for (const std::uint32_t word : words) merge_in(word, pair, result);
  // Left-over counts of the pair itself (aaa holds aa twice but gives it up once) must not come back.
  pairs_[index].count = 0;
  for (const std::uint32_t fresh : fresh_) {
    Pair& made = pairs_[fresh];
    made.fresh = false;
    if (made.count <= 0) continue;
    heap_.push_back({made.count, made.left, made.right, fresh});
    std::push_heap(heap_.begin(), heap_.end());
  }
  fresh_.clear();
}

void MergeFinder::merge_in(std::uint32_t word, const Found& pair, Id result) {
  const std::int64_t weight = words_[word].weight;
  Id* const s = symbols_.data() + words_[word].start;
  const std::uint32_t size = words_[word].size;
  std::uint32_t out = 0;
  for (std::uint32_t i = 0; i < size; ++i) {
    if (s[i] != pair.left || i + 1 >= size || s[i + 1] != pair.right) {
      s[out++] = s[i];
      continue;
    }
    if (out > 0) {
      change(s[out - 1], pair.left, -weight, word);
      change(s[out - 1], result, weight, word);
    }
    if (i + 2 < size) {
      change(pair.right, s[i + 2], -weight, word);
      change(result, s[i + 2], weight, word);
    }
    s[out++] = result;
    ++i;
  }
  words_[word].size = out;
}

}  // namespace hadal::text
