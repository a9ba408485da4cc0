#include "tensor/block_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <new>

#include "base/huge_pages.h"

namespace hadal {

namespace {

constexpr std::size_t kPage = 2 << 20;
constexpr std::size_t kUnit = 64 << 10;  // blocks are whole units, so that those of nearly one size are of one size
// Every piece that was moved is a mapping of its own, and a process may have some 65,000 of them. Above, pages are
// given back instead of moved.
constexpr std::size_t kMostMoved = std::size_t{48} << 30;

void unmap(std::byte* at, std::size_t size) {
  if (size > 0) (void)::munmap(at, size);
}

// Addresses without pages, aligned to kPage.
std::byte* reserve(std::size_t size) {
  void* p = ::mmap(nullptr, size + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  auto* begin = static_cast<std::byte*>(p);
  auto* aligned = begin + (kPage - reinterpret_cast<std::uintptr_t>(begin) % kPage) % kPage;
  unmap(begin, static_cast<std::size_t>(aligned - begin));
  unmap(aligned + size, static_cast<std::size_t>(begin + size + kPage - (aligned + size)));
  ask_for_huge_pages(aligned, size / kPage * kPage);
  return aligned;
}

}  // namespace

std::size_t BlockCache::size_of_block(std::size_t bytes) {
  return std::max<std::size_t>(1, (bytes + kUnit - 1) / kUnit) * kUnit;
}

BlockCache::~BlockCache() {
  for (const auto* all : {&blocks_, &pieces_}) {
    for (const auto& [size, places] : *all) {
      for (std::byte* at : places) unmap(at, size);
    }
  }
}

BlockCache::Count BlockCache::count() const {
  const std::scoped_lock lock(mutex_);
  return {in_use_, most_in_use_, in_use_ + waiting_};
}

std::byte* BlockCache::take(std::size_t bytes) {
  const std::size_t size = size_of_block(bytes);
  const std::scoped_lock lock(mutex_);
  std::byte* block = nullptr;
  if (const auto same = blocks_.find(size); same != blocks_.end() && !same->second.empty()) {
    block = same->second.back();
    same->second.pop_back();
    waiting_ -= size;
  } else {
    block = reserve(size);
    if (block == nullptr) throw std::bad_alloc();
    const std::size_t most = std::max(most_in_use_, in_use_ + size), held = in_use_ + size + waiting_;
    fill(block, size, std::min(size, held - std::min(held, most + most / kSlack)));
  }
  in_use_ += size;
  most_in_use_ = std::max(most_in_use_, in_use_);
  return block;
}

void BlockCache::give(std::byte* block, std::size_t bytes) noexcept {
  const std::size_t size = size_of_block(bytes);
  const std::scoped_lock lock(mutex_);
  in_use_ -= size;
  wait(blocks_, {block, size});
}

void BlockCache::wait(std::map<std::size_t, Places>& in, Run run) {
  try {
    in[run.size].push_back(run.at);
    waiting_ += run.size;
  } catch (const std::bad_alloc&) {
    unmap(run.at, run.size);
  }
}

// Takes the pages of a block or piece of at least `least` and less than `below` bytes from those that wait, the
// smallest there is. Empty if there is none.
BlockCache::Run BlockCache::smallest(std::map<std::size_t, Places>& from, std::size_t least, std::size_t below) {
  auto found = from.lower_bound(least);
  while (found != from.end() && found->second.empty()) found = from.erase(found);
  if (found == from.end() || found->first >= below) return {};
  const Run run{found->second.back(), found->first};
  found->second.pop_back();
  waiting_ -= run.size;
  return run;
}

BlockCache::Run BlockCache::largest(std::map<std::size_t, Places>& from) {
  while (!from.empty() && from.rbegin()->second.empty()) from.erase(std::prev(from.end()));
  return from.empty() ? Run{} : smallest(from, from.rbegin()->first, SIZE_MAX);
}

// Breaks a block that waits into pages and a rest.
bool BlockCache::break_block() {
  const Run run = largest(blocks_);
  if (run.size == 0) return false;
  for (std::size_t at = 0; at < run.size; at += kPage) wait(pieces_, {run.at + at, std::min(kPage, run.size - at)});
  return true;
}

// Pages for a run of `wanted` bytes, kPage at most. Whole pages go to whole pages, so that huge ones stay whole.
BlockCache::Run BlockCache::find(std::size_t wanted) {
  if (wanted < kPage) {
    if (const Run piece = smallest(pieces_, wanted, kPage); piece.size > 0) return piece;
    if (const Run block = smallest(blocks_, wanted, kPage); block.size > 0) return block;
  }
  do {
    if (const Run piece = smallest(pieces_, wanted, SIZE_MAX); piece.size > 0) return piece;
  } while (break_block());
  return largest(pieces_);
}

// Takes about `wanted` bytes of pages from those that wait, and gives them to the block, which has none.
void BlockCache::fill(std::byte* block, std::size_t size, std::size_t wanted) {
  for (std::size_t at = 0; at < wanted;) {
    const std::size_t page_end = std::min(size, (at / kPage + 1) * kPage);
    const Run run = find(page_end - at);
    if (run.size == 0) return;
    const std::size_t n = std::min(run.size, page_end - at);
    if (run.size > n) wait(pieces_, {run.at + n, run.size - n});
    move(run.at, n, block + at);
    at += n;
  }
}

void BlockCache::move(std::byte* from, std::size_t size, std::byte* to) const {
  if (in_use_ + waiting_ < kMostMoved && ::mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) != MAP_FAILED)
    return;
  unmap(from, size);
  // A failed move may have taken away what was at its goal.
  if (::mmap(to, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
    throw std::bad_alloc();
}

}  // namespace hadal
