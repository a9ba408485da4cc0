#include "engine/cache.h"

#include <algorithm>
#include <new>

#include "kernels/kernels.h"

namespace hadal::engine {

namespace {

constexpr std::int64_t kBlock = kernels::kKeyTile;

Tensor room(std::int64_t blocks, std::int64_t width, DType dtype) {
  try {
    return Tensor::empty({blocks, kBlock, width}, dtype);
  } catch (const std::bad_alloc&) {
    fail("no memory for a cache of {} positions: ask for a shorter context", blocks * kBlock);
  }
}

}  // namespace

KvCache::KvCache(const model::CausalLm& model, nn::MlaForm form, std::int64_t positions) : form_(form) {
  const std::int64_t blocks = (positions + kBlock - 1) / kBlock;
  const auto [width1, width2] = model.cache_widths(form);
  const bool by_heads = model.config().is_mla() && form == nn::MlaForm::expanded;
  const std::int64_t heads = by_heads ? model.config().num_attention_heads : 1;
  for (std::int64_t i = 0; i < model.config().num_hidden_layers; ++i) {
    memory_.push_back(room(blocks, width1, model.act()));
    memory_.push_back(room(blocks, width2, model.act()));
    layers_.push_back({model.act(), width1, width2, static_cast<std::byte*>(memory_[memory_.size() - 2].raw()),
                       static_cast<std::byte*>(memory_.back().raw()), heads});
  }
  for (std::int64_t b = blocks; b > 0; --b) free_.push_back(static_cast<std::int32_t>(b - 1));
}

void KvCache::reserve(Sequence& sequence, std::int64_t count) {
  const auto wanted = static_cast<std::size_t>((sequence.length + count + kBlock - 1) / kBlock);
  if (wanted > sequence.blocks.size() + free_.size()) {
    fail("the cache is full: {} more positions asked for, room for {}", count,
         free_positions() + static_cast<std::int64_t>(sequence.blocks.size()) * kBlock - sequence.length);
  }
  while (sequence.blocks.size() < wanted) {
    sequence.blocks.push_back(free_.back());
    free_.pop_back();
  }
}

void KvCache::release(Sequence& sequence) {
  free_.insert(free_.end(), sequence.blocks.rbegin(), sequence.blocks.rend());
  sequence = {};
}

void KvCache::truncate(Sequence& sequence, std::int64_t length) {
  HADAL_ASSERT(length >= 0 && length <= sequence.length);
  const auto kept = static_cast<std::size_t>((length + kBlock - 1) / kBlock);
  for (; sequence.blocks.size() > kept; sequence.blocks.pop_back()) free_.push_back(sequence.blocks.back());
  sequence.length = length;
}

std::int64_t KvCache::free_positions() const { return static_cast<std::int64_t>(free_.size()) * kBlock; }

std::int64_t KvCache::bytes_per_token() const {
  std::int64_t bytes = 0;
  for (const ops::CacheLayer& l : layers_) bytes += (l.width1 + l.width2) * static_cast<std::int64_t>(size_of(l.dtype));
  return bytes;
}

model::ForwardResult step(const kernels::Context& cx, const model::CausalLm& model, KvCache& cache,
                          std::span<const StepItem> items, std::int64_t crossover, const nn::Probe* probe,
                          std::span<const Tensor> forced_routing) {
  model::Batch batch;
  batch.forced_routing.assign(forced_routing.begin(), forced_routing.end());
  ops::CacheView view{cache.layers(), {}};
  std::vector<std::int32_t> tokens, positions;
  for (const StepItem& item : items) {
    Sequence& s = *item.sequence;
    const auto count = static_cast<std::int64_t>(item.tokens.size());
    cache.reserve(s, count);
    const auto begin = static_cast<std::int64_t>(tokens.size());
    for (std::int64_t i = 0; i < count; ++i) {
      tokens.push_back(item.tokens[static_cast<std::size_t>(i)]);
      positions.push_back(static_cast<std::int32_t>(s.length + i));
    }
    view.sequences.push_back({begin, begin + count, s.length, s.blocks});
    batch.seq_start.push_back(begin);
  }
  const auto rows = static_cast<std::int64_t>(tokens.size());
  batch.seq_start.push_back(rows);
  batch.row_start = {0, rows};
  batch.tokens_T = Tensor::of<std::int32_t>(tokens, {rows});
  batch.positions_T = Tensor::of<std::int32_t>(positions, {rows});
  batch.cache = &view;
  model::ForwardOptions options;
  options.form = cache.form();
  options.crossover = crossover;
  options.probe = probe;
  model::ForwardResult result = model.forward(cx, batch, options);
  for (const StepItem& item : items) item.sequence->length += static_cast<std::int64_t>(item.tokens.size());
  return result;
}

}  // namespace hadal::engine
