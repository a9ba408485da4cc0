// Memory of large tensors. A training step asks for the same sizes again and again, in an order in which a heap leaves
// holes: pages that nothing uses, or page faults by the ten thousand if they are given back each time. Here a freed
// block waits for the next of its size; and if another size is wanted, the waiting pages are moved (mremap) to a new
// address, which costs neither zeros nor faults. So the pages held are never more than the most that was in use at one
// time, and a small part on top.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <vector>

namespace hadal {

class BlockCache {
 public:
  static constexpr std::size_t kSmallest = 256 << 10;  // below, a heap does as well
  static constexpr std::size_t kSlack = 64;            // 1/kSlack of the most in use may be held on top

  BlockCache() = default;
  ~BlockCache();
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  // What a block of `bytes` takes: whole units.
  static std::size_t size_of_block(std::size_t bytes);
  // Uninitialised memory, aligned to 2 MiB. Throws std::bad_alloc. Any thread.
  std::byte* take(std::size_t bytes);
  // `bytes` as when it was taken.
  void give(std::byte* block, std::size_t bytes) noexcept;

  struct Count {
    std::size_t in_use = 0, most_in_use = 0;
    std::size_t held = 0;  // in use or waiting
  };
  Count count() const;

 private:
  using Places = std::vector<std::byte*>;
  struct Run {
    std::byte* at = nullptr;
    std::size_t size = 0;
  };
  void wait(std::map<std::size_t, Places>& in, Run run);
  Run smallest(std::map<std::size_t, Places>& from, std::size_t least, std::size_t below);
  Run largest(std::map<std::size_t, Places>& from);
  Run find(std::size_t wanted);
  bool break_block();
  void fill(std::byte* block, std::size_t size, std::size_t wanted);
  void move(std::byte* from, std::size_t size, std::byte* to) const;

  mutable std::mutex mutex_;
  std::map<std::size_t, Places> blocks_;  // waiting, by size
  std::map<std::size_t, Places> pieces_;  // of blocks that were broken up, by size: 2 MiB or less
  std::size_t in_use_ = 0, most_in_use_ = 0, waiting_ = 0;
};

}  // namespace hadal
