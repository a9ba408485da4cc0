// Causal attention over keys in tiles of 64 (DESIGN §3, order over keys): softmax(scale q kᵀ) v.
// q (T, H * (d1 + d2)); head h uses key/value head h / (H / kv_heads). d2 dims of every key are shared by all heads
// (k_pe).
#pragma once

#include <span>

#include "kernels/context.h"
#include "ops/cache_view.h"
#include "tensor/tensor.h"

namespace hadal::ops {

struct AttentionShape {
  std::int64_t heads = 0, kv_heads = 0, d1 = 0, d2 = 0, dv = 0;
  float scale = 1;
  bool e5m6_out = false;  // the result is rounded to E5M6 in tiles of 1 x 128 (SPEC §6.2), and kept so for the backward
};

// Where key and value heads lie in a row of `width` elements: head h of the key at k + h * stride, of the value at v +
// h * stride.
struct KvLayout {
  std::int64_t width = 0, k = 0, v = 0, k_stride = 0, v_stride = 0;
};

// Keys and values are rows of the batch. kv (T, layout.width); k_pe (T, d2) or undefined. Sequence s is rows
// [starts[s], starts[s+1]). Returns (T, H * dv) in q's dtype. Differentiable in q, kv, k_pe.
Tensor attention(const kernels::Context& cx, const Tensor& q, const Tensor& kv, const Tensor& k_pe,
                 const AttentionShape& shape, const KvLayout& layout, std::span<const std::int64_t> starts);

// The same over cached keys; the batch's own keys must have been written already. layout describes rows of data1.
Tensor attention_cached(const kernels::Context& cx, const Tensor& q, const CacheLayer& layer,
                        std::span<const CacheSequence> sequences, const AttentionShape& shape, const KvLayout& layout);

}  // namespace hadal::ops
