// How attention's work is cut into tasks. A task is a block of rows of one product: query rows of one sequence times
// heads that share a key/value head. No cut changes a bit of the result.
#pragma once

#include <algorithm>
#include <functional>
#include <numeric>
#include <vector>

#include "kernels/cpu/attention_words.h"

namespace hadal::kernels::HADAL_ISA_NS {

struct AttentionTask {
  i64 sequence = 0, kv = 0;
  i64 head = 0, heads = 0;  // query heads
  i64 row = 0, rows = 0;    // query rows, counted from the sequence's row_begin
};

// Sizes that all tasks of one call share.
struct AttentionPlan {
  const Attention& p;
  i64 width = p.d1 + p.d2;
  i64 q_stride, v_stride = padded(p.dv);
  i64 threads;
  i64 heads, rows;  // largest task
  bool one_row;     // of the only sequence: its tasks are equal
  i64 block() const { return heads * rows; }

  AttentionPlan(const Attention& params, i64 q_words, i64 pool) : p(params), q_stride(padded(q_words)), threads(pool) {
    const i64 fit = std::clamp<i64>((i64{1} << 17) / (q_stride + v_stride), 64, 512) / 64 * 64;
    heads = std::min(p.heads / p.kv_heads, fit);
    i64 all = 0;
    for (i64 s = 0; s < p.sequence_count; ++s) all += p.sequences[s].row_end - p.sequences[s].row_begin;
    one_row = all == 1 && p.sequence_count == 1;
    single_ = all == p.sequence_count && all > 0;
    if (single_ && threads > 1 && p.sequence_count * p.kv_heads < 4 * threads) choose();
    rows = std::max<i64>(1, fit / heads);
    if (rows > kKeyTile) rows = rows / kKeyTile * kKeyTile;
  }

  // Whether the chunks of keys of these tasks are taken apart, if there are several.
  bool split(i64 tasks) const {
    return threads > 1 && (single_ ? split_ : tasks < 2 * threads && tasks % threads != 0);
  }

 private:
  // One row a sequence, and few tasks: as they are, or heads that share keys taken apart, or chunks of keys. Costs are
  // counted in keys that a thread multiplies with all heads of a group.
  void choose() {
    const i64 group = p.heads / p.kv_heads, tasks = p.sequence_count * p.kv_heads;
    std::vector<i64> keys, chunks;
    for (i64 s = 0; s < p.sequence_count; ++s) {
      const i64 length = p.sequences[s].first_position + 1;
      for (i64 kv = 0; kv < p.kv_heads; ++kv) {
        keys.push_back(length);
        for (i64 c = 0; c < length; c += kKeyChunk) chunks.push_back(std::min(kKeyChunk, length - c));
      }
    }
    const i64 whole = longest(keys), parts = kSplitCost + longest(chunks);
    i64 apart = whole;
    const i64 fewer = std::min(heads, (group * tasks + threads - 1) / threads);
    if (tasks < threads && fewer < heads) {
      // Each part transposes the keys anew, which takes about as long as all products.
      apart = *std::max_element(keys.begin(), keys.end()) * (group + fewer) / (2 * group);
    }
    split_ = parts < std::min(whole, apart);
    if (!split_ && apart < whole) heads = fewer;
  }

  // What the busiest thread gets when the longest piece left always goes to the idlest one.
  i64 longest(std::vector<i64> pieces) const {
    const i64 all = std::accumulate(pieces.begin(), pieces.end(), i64{0});
    if (static_cast<i64>(pieces.size()) > kManyPieces * threads) return all / threads + pieces.front();
    std::sort(pieces.begin(), pieces.end(), std::greater<>());
    std::vector<i64> load(static_cast<std::size_t>(threads), 0);
    for (const i64 piece : pieces) *std::min_element(load.begin(), load.end()) += piece;
    return *std::max_element(load.begin(), load.end());
  }

  static constexpr i64 kSplitCost = 64;   // a second region, and sums that are merged from another thread's cache
  static constexpr i64 kManyPieces = 16;  // a thread
  bool single_ = false, split_ = false;
};

inline std::vector<AttentionTask> attention_tasks(const AttentionPlan& plan) {
  const Attention& p = plan.p;
  std::vector<AttentionTask> tasks;
  const i64 group = p.heads / p.kv_heads;
  for (i64 s = 0; s < p.sequence_count; ++s) {
    const AttentionSequence& seq = p.sequences[s];
    const i64 rows = seq.row_end - seq.row_begin;
    for (i64 row = 0; row < rows;) {
      const i64 end = std::min(rows, ((seq.first_position + row) / plan.rows + 1) * plan.rows - seq.first_position);
      for (i64 h = 0; h < p.heads;) {
        const i64 in_group = std::min({plan.heads, group - h % group, p.heads - h});
        tasks.push_back({s, h / group, h, in_group, row, end - row});
        h += in_group;
      }
      row = end;
    }
  }
  // The longest first, so that no thread is left alone with one at the end.
  const auto cost = [&](const AttentionTask& t) {
    return t.rows * t.heads * (p.sequences[t.sequence].first_position + t.row + t.rows);
  };
  std::stable_sort(tasks.begin(), tasks.end(), [&](const auto& a, const auto& b) { return cost(a) > cost(b); });
  return tasks;
}

}  // namespace hadal::kernels::HADAL_ISA_NS
