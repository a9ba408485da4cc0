#include "text/bpe.h"

#include <algorithm>
#include <queue>
#include <utility>

namespace hadal::text {

namespace {

constexpr std::size_t kShort = 96;  // bytes up to which a scan for the lowest rank beats a heap

std::uint64_t pack(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
}

}  // namespace

BpeModel::BpeModel(const std::array<std::int32_t, 256>& byte_ids, const std::vector<Merge>& merges,
                   IdsByText whole_pieces, UnknownToken unknown)
    : byte_ids_(byte_ids), whole_pieces_(std::move(whole_pieces)), unknown_(unknown) {
  bytes_missing_ = std::find(byte_ids.begin(), byte_ids.end(), -1) != byte_ids.end();
  unsigned bits = 4;
  while ((std::size_t{1} << bits) < merges.size() * 2) ++bits;
  slots_.resize(std::size_t{1} << bits);
  shift_ = 64 - bits;
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    insert({pack(merges[rank].left, merges[rank].right), static_cast<std::uint32_t>(rank), merges[rank].result});
  }
}

void BpeModel::insert(const Slot& slot) {
  std::size_t i = slot.pair * 0x9E3779B97F4A7C15u >> shift_;
  while (slots_[i].result >= 0 && slots_[i].pair != slot.pair) i = (i + 1) & (slots_.size() - 1);
  slots_[i] = slot;
}

BpeModel::Slot BpeModel::find(std::int32_t left, std::int32_t right) const {
  const std::uint64_t pair = pack(left, right);
  for (std::size_t i = pair * 0x9E3779B97F4A7C15u >> shift_;; i = (i + 1) & (slots_.size() - 1)) {
    if (slots_[i].pair == pair || slots_[i].result < 0) return slots_[i];
  }
}

void BpeModel::encode(std::string_view piece, std::vector<std::int32_t>& out, WordCache* cache) const {
  if (piece.empty()) return;
  if (piece.size() == 1 && whole_pieces_.empty() && !bytes_missing_) {
    out.push_back(byte_ids_[static_cast<std::uint8_t>(piece[0])]);
    return;
  }
  const bool cached = cache != nullptr && piece.size() <= WordCache::kMaxBytes;
  const WordCache::Key key(cached ? piece : std::string_view{});
  if (cached && cache->lookup(key, out)) return;
  const std::size_t before = out.size();
  const auto whole = whole_pieces_.empty() ? whole_pieces_.end() : whole_pieces_.find(piece);
  if (whole != whole_pieces_.end()) {
    out.push_back(whole->second);
  } else if (bytes_missing_) {
    const std::vector<std::int32_t> known = known_ids(piece);
    merge(
        known.size(), [&](std::size_t i) { return known[i]; }, out);
  } else {
    merge(
        piece.size(), [&](std::size_t i) { return byte_ids_[static_cast<std::uint8_t>(piece[i])]; }, out);
  }
  if (cached) cache->store(key, out.data() + before, out.size() - before);
}

std::vector<std::int32_t> BpeModel::known_ids(std::string_view piece) const {
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  std::vector<std::int32_t> ids;
  bool in_unknown = false;
  const auto id_of = [&](char byte) { return byte_ids_[static_cast<std::uint8_t>(byte)]; };
  const auto add = [&](char byte) {
    if (const std::int32_t id = id_of(byte); id >= 0) {
      ids.push_back(id);
      in_unknown = false;
    } else if (unknown_.id >= 0) {
      if (!(unknown_.fuse && in_unknown)) ids.push_back(unknown_.id);
      in_unknown = true;
    }
  };
  for (const char byte : piece) {
    const auto value = static_cast<std::uint8_t>(byte);
    const bool never_valid = value == 0xC0 || value == 0xC1 || value >= 0xF5;
    const bool replaced = never_valid && id_of(byte) < 0 &&
                          std::all_of(kReplacement.begin(), kReplacement.end(), [&](char c) { return id_of(c) >= 0; });
    if (replaced) {
      for (const char c : kReplacement) add(c);
    } else {
      add(byte);
    }
  }
  return ids;
}

template <class IdAt>
void BpeModel::merge(std::size_t n, IdAt id_at, std::vector<std::int32_t>& out) const {
  if (n == 0) return;
  if (n <= kShort) {
    merge_short(n, id_at, out);
  } else {
    merge_long(n, id_at, out);
  }
}

template <class IdAt>
void BpeModel::merge_short(std::size_t n, IdAt id_at, std::vector<std::int32_t>& out) const {
  std::int32_t ids[kShort];
  std::uint32_t ranks[kShort];  // of the pair (i, i + 1); the last one has none
  std::int32_t results[kShort];
  const auto look = [&](std::size_t i) {
    const Slot slot = find(ids[i], ids[i + 1]);
    ranks[i] = slot.rank, results[i] = slot.result;
  };
  for (std::size_t i = 0; i < n; ++i) ids[i] = id_at(i);
  for (std::size_t i = 0; i + 1 < n; ++i) look(i);
  ranks[n - 1] = kNoRank;
  for (;;) {
    std::size_t best = 0;
    std::uint32_t rank = ranks[0];
    for (std::size_t i = 1; i + 1 < n; ++i) {
      if (ranks[i] < rank) rank = ranks[i], best = i;
    }
    if (rank == kNoRank) break;
    ids[best] = results[best];
    --n;
    std::copy(ids + best + 2, ids + n + 1, ids + best + 1);
    std::copy(ranks + best + 1, ranks + n + 1, ranks + best);
    std::copy(results + best + 1, results + n + 1, results + best);
    if (best + 1 < n) look(best);
    if (best > 0) look(best - 1);
  }
  out.insert(out.end(), ids, ids + n);
}

template <class IdAt>
void BpeModel::merge_long(std::size_t count, IdAt id_at, std::vector<std::int32_t>& out) const {
  struct Node {
    std::int32_t id, previous, next;  // id -1: merged away
  };
  struct Candidate {
    std::uint32_t rank;
    std::int32_t place, left, right, result;
    bool operator>(const Candidate& o) const { return std::pair(rank, place) > std::pair(o.rank, o.place); }
  };
  const auto n = static_cast<std::int32_t>(count);
  std::vector<Node> nodes(count);
  std::vector<Candidate> storage;
  storage.reserve(count);
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> heap({}, std::move(storage));
  const auto at = [&](std::int32_t i) -> Node& { return nodes[static_cast<std::size_t>(i)]; };
  const auto consider = [&](std::int32_t i) {
    if (i < 0 || at(i).next < 0) return;
    const std::int32_t left = at(i).id, right = at(at(i).next).id;
    const Slot slot = find(left, right);
    if (slot.rank != kNoRank) heap.push({slot.rank, i, left, right, slot.result});
  };
  for (std::int32_t i = 0; i < n; ++i) {
    at(i) = {id_at(static_cast<std::size_t>(i)), i - 1, i + 1 < n ? i + 1 : -1};
  }
  for (std::int32_t i = 0; i + 1 < n; ++i) consider(i);
  while (!heap.empty()) {
    const Candidate top = heap.top();
    heap.pop();
    Node& node = at(top.place);
    if (node.id != top.left || node.next < 0 || at(node.next).id != top.right) continue;
    const std::int32_t gone = node.next;
    node.id = top.result;
    node.next = at(gone).next;
    if (node.next >= 0) at(node.next).previous = top.place;
    at(gone).id = -1;
    consider(top.place);
    consider(node.previous);
  }
  for (std::int32_t i = 0; i >= 0; i = at(i).next) out.push_back(at(i).id);
}

}  // namespace hadal::text
