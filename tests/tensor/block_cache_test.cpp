// The cache of large blocks: contents stay apart, and the pages held are never far above the most in use.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <thread>

#include "tensor/block_cache.h"
#include "tensor/tensor.h"

namespace hadal {
namespace {

constexpr std::size_t kKiB = 1 << 10, kMiB = 1 << 20;

struct Block {
  std::byte* at;
  std::size_t bytes;
  unsigned char mark;
};

bool holds(const Block& b) {
  for (std::size_t i = 0; i < b.bytes; i += 4 * kKiB) {
    if (b.at[i] != std::byte{b.mark}) return false;
  }
  return b.at[b.bytes - 1] == std::byte{b.mark};
}

// Random takes and gives; every block keeps what was written into it, wherever its pages came from.
void exercise(BlockCache& cache, unsigned seed, int turns) {
  std::mt19937 random(seed);
  std::vector<Block> blocks;
  for (int i = 0; i < turns; ++i) {
    if (blocks.size() > 12 || (!blocks.empty() && random() % 2 == 0)) {
      const std::size_t which = random() % blocks.size();
      ASSERT_TRUE(holds(blocks[which])) << "turn " << i;
      cache.give(blocks[which].at, blocks[which].bytes);
      blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(which));
      continue;
    }
    const std::size_t bytes = 256 * kKiB + random() % (7 * kMiB);
    Block b{cache.take(bytes), bytes, static_cast<unsigned char>(random())};
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b.at) % 64, 0u);
    std::memset(b.at, b.mark, b.bytes);
    blocks.push_back(b);
  }
  for (const Block& b : blocks) {
    EXPECT_TRUE(holds(b));
    cache.give(b.at, b.bytes);
  }
}

TEST(BlockCache, ContentsStayApart) {
  BlockCache cache;
  exercise(cache, 1, 600);
  EXPECT_EQ(cache.count().in_use, 0u);
}

TEST(BlockCache, HoldsNoMoreThanTheMostInUse) {
  BlockCache cache;
  std::mt19937 random(7);
  std::vector<Block> blocks;
  for (int i = 0; i < 400; ++i) {
    const std::size_t bytes = 256 * kKiB + random() % (9 * kMiB);
    blocks.push_back({cache.take(bytes), bytes, 1});
    // Sizes are never the same twice: without moving pages, everything freed would stay beside what is new.
    while (blocks.size() > 1 + random() % 20) {
      cache.give(blocks.front().at, blocks.front().bytes);
      blocks.erase(blocks.begin());
    }
    const BlockCache::Count c = cache.count();
    ASSERT_LE(c.held, c.most_in_use + c.most_in_use / BlockCache::kSlack + kMiB * 2) << "turn " << i;
  }
  for (const Block& b : blocks) cache.give(b.at, b.bytes);
}

TEST(BlockCache, TheSameSizeComesBack) {
  BlockCache cache;
  std::byte* first = cache.take(3 * kMiB);
  cache.give(first, 3 * kMiB);
  EXPECT_EQ(cache.take(3 * kMiB - 1), first);
  cache.give(first, 3 * kMiB - 1);
}

TEST(BlockCache, ThreadsShareIt) {
  BlockCache cache;
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 3; ++t) threads.emplace_back([&cache, t] { exercise(cache, 20 + t, 150); });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(cache.count().in_use, 0u);
}

TEST(Storage, CountsWhatItTakes) {
  for (const std::size_t bytes : {std::size_t{1}, 100 * kKiB, 256 * kKiB, 5 * kMiB + 1}) {
    const std::size_t before = tensor_memory().live;
    const Storage s(bytes);
    EXPECT_EQ(tensor_memory().live - before, storage_bytes(bytes));
    EXPECT_GE(storage_bytes(bytes), bytes);
    EXPECT_LE(storage_bytes(bytes), bytes + 64 * kKiB);
  }
}

}  // namespace
}  // namespace hadal
