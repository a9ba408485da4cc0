// The key/value cache: blocks of 64 positions, owned here, seen by attention through ops::CacheView.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/causal_lm.h"

namespace hadal::engine {

// A sequence's place in the cache. Freed by KvCache::release.
struct Sequence {
  std::vector<std::int32_t> blocks;
  std::int64_t length = 0;  // positions written
};

class KvCache {
 public:
  // positions: room in all, rounded up to whole blocks. Throws Error if the memory is not to be had.
  KvCache(const model::CausalLm& model, nn::MlaForm form, std::int64_t positions);

  // Makes room for `count` more positions of the sequence. Throws Error when the cache is full; nothing is lost then.
  void reserve(Sequence& sequence, std::int64_t count);
  void release(Sequence& sequence);
  // Back to the first `length` positions; blocks that this leaves empty are free again.
  void truncate(Sequence& sequence, std::int64_t length);
  const std::vector<ops::CacheLayer>& layers() const { return layers_; }
  nn::MlaForm form() const { return form_; }
  std::int64_t free_positions() const;
  // Bytes of one position over all layers.
  std::int64_t bytes_per_token() const;

 private:
  nn::MlaForm form_;
  std::vector<Tensor> memory_;
  std::vector<ops::CacheLayer> layers_;
  std::vector<std::int32_t> free_;
};

// New tokens of one sequence in a step: any mix of prompts and single decoded tokens makes a batch.
struct StepItem {
  Sequence* sequence = nullptr;
  std::span<const std::int32_t> tokens;
};

// Runs the trunk over the new tokens of all items and appends them to their sequences. Rows of the result are the
// items' tokens in order. crossover: see nn::Input. forced_routing: one tensor for each MoE layer of the trunk, as
// model::Batch has them, or empty.
model::ForwardResult step(const kernels::Context& cx, const model::CausalLm& model, KvCache& cache,
                          std::span<const StepItem> items, std::int64_t crossover = 128,
                          const nn::Probe* probe = nullptr, std::span<const Tensor> forced_routing = {});

}  // namespace hadal::engine
