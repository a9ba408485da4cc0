#include "data/validation_split.h"

#include <cmath>
#include <span>
#include <utility>

#include "base/rng.h"
#include "data/checksum.h"
#include "text/unicode.h"

namespace hadal::data {

namespace {

// Streams of the seed.
constexpr std::uint64_t kDocument = 1, kBlocks = 2;

// Where a block ends that may have `most` bytes: after a line end or else a space of its second half, or between two
// characters.
std::size_t end_of_block(std::string_view text, std::size_t most) {
  for (const char c : {'\n', ' '}) {
    const auto at = text.rfind(c, most - 1);
    if (at != std::string_view::npos && at >= most / 2) return at + 1;
  }
  for (std::size_t end = most; end > most - 4; --end) {
    if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80) return end;
  }
  return most;  // no UTF-8
}

}  // namespace

ValidationSplit::ValidationSplit(double share, std::uint64_t seed, Sink sink)
    : share_(share), seed_(seed), sink_(std::move(sink)) {}

void ValidationSplit::add(std::string_view piece, bool last) {
  if (share_ == 0) return sink_(piece, last, 0);
  held_ += piece;
  if (!long_ && held_.size() > kLong) {
    long_ = true;
    key_ = Rng(seed_, kBlocks, hash_bytes(std::as_bytes(std::span(held_).first(kLong)))).uint64();
    block_ = group_ = 0;
    part_ = -1;
  }
  if (long_) {
    cut_blocks(last);
  } else if (last) {
    const bool validation = Rng(seed_, kDocument, hash_bytes(std::as_bytes(std::span(held_)))).uniform() < share_;
    sink_(held_, true, validation ? 1 : 0);
  }
  if (!last) return;
  held_.clear();
  long_ = false;
}

void ValidationSplit::cut_blocks(bool last) {
  std::string_view left = held_;
  while (left.size() > kBlock) {
    const std::size_t size = end_of_block(left, kBlock);
    block(left.substr(0, size));
    left.remove_prefix(size);
  }
  if (last) {
    block(left);
    sink_({}, true, part_);
  }
  held_.erase(0, held_.size() - left.size());
}

void ValidationSplit::block(std::string_view text) {
  const auto begin_of = [&](std::uint64_t group) {
    return static_cast<std::uint64_t>(std::ceil(static_cast<double>(group) / share_));
  };
  if (block_ == begin_of(group_)) {  // a group of about 1 / share blocks begins, one of which is chosen
    const std::uint64_t size = begin_of(group_ + 1) - block_;
    chosen_ = block_ + Rng(key_, kBlocks, group_).below(size);
    ++group_;
  }
  const int part = block_ == chosen_ ? 1 : 0;
  ++block_;
  if (part_ >= 0 && part != part_) sink_({}, true, part_);
  part_ = part;
  if (!text.empty()) sink_(text, false, part);
}

}  // namespace hadal::data
