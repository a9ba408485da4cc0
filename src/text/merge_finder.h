// The inner loop of BPE training: words as ids with weights, counts of pairs kept up to date merge by merge.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace hadal::text {

class MergeFinder {
 public:
  using Id = std::int32_t;
  struct Found {
    Id left, right;
    std::int64_t count;
  };

  // Adds a word of `ids` that occurs `weight` times. Before the first call of start().
  void add_word(const std::vector<Id>& ids, std::int64_t weight);
  // Counts the pairs of all words.
  void start();

  // The pair with the highest count, the smallest (left, right) among equals. False if none reaches `least` (>= 1).
  bool next(std::int64_t least, Found& found);
  // Replaces the pair everywhere, left to right without overlap. It must come from next().
  void merge(const Found& pair, Id result);

 private:
  struct Word {
    std::size_t start;   // into symbols_
    std::uint32_t size;  // symbols left
    std::int64_t weight;
  };
  struct Pair {
    Id left, right;
    std::int64_t count = 0;
    bool fresh = true;                 // not in the heap yet
    std::vector<std::uint32_t> words;  // that held it once, each only once
  };
  struct Candidate {
    std::int64_t count;
    Id left, right;
    std::uint32_t pair;
    bool operator<(const Candidate& o) const {  // a max-heap's order
      if (count != o.count) return count < o.count;
      return std::pair(left, right) > std::pair(o.left, o.right);
    }
  };

  std::uint32_t pair_index(Id left, Id right);
  void change(Id left, Id right, std::int64_t by, std::uint32_t word);
  void merge_in(std::uint32_t word, const Found& pair, Id result);
  void grow();

  std::vector<Word> words_;
  std::vector<Id> symbols_;
  std::vector<Pair> pairs_;
  std::vector<std::uint32_t> slots_;  // open addressing over pairs_: index + 1, 0 for empty
  std::vector<std::uint32_t> fresh_;
  std::vector<Candidate> heap_;
};

}  // namespace hadal::text
