#include "ops/attention.h"

#include "autograd/tape.h"
#include "kernels/kernels.h"
#include "ops/common.h"

namespace hadal::ops {

namespace {

using kernels::Context;
using kernels::KeyTile;
using kernels::kKeyTile;

const std::byte* at(const void* base, std::int64_t element, DType dtype) {
  return static_cast<const std::byte*>(base) + element * static_cast<std::int64_t>(size_of(dtype));
}

kernels::Attention params(const Tensor& q, const AttentionShape& s, const KvLayout& l, const Tensor& out, float* lse) {
  return {.heads = s.heads,
          .kv_heads = s.kv_heads,
          .d1 = s.d1,
          .d2 = s.d2,
          .dv = s.dv,
          .k1_row = l.width,
          .k1_head = l.k_stride,
          .k2_row = s.d2,
          .v_row = l.width,
          .v_head = l.v_stride,
          .scale = s.scale,
          .q = q.raw(),
          .out = out.raw(),
          .lse = lse,
          .act = q.dtype()};
}

struct Saved {
  Tensor q, kv, k_pe, out, lse;
  AttentionShape shape;
  KvLayout layout;
  std::vector<std::int64_t> starts;
};

void attention_backward(const Context& cx, const Saved& s, const Tensor& grad) {
  const DType act = s.q.dtype();
  // Columns of kv that are neither key nor value do not exist in our layouts, so every element of dkv is written.
  Tensor dq = Tensor::empty(s.q.shape(), act), dkv = Tensor::empty(s.kv.shape(), act);
  Tensor dk_pe = s.k_pe.defined() ? Tensor::empty(s.k_pe.shape(), act) : Tensor();
  const auto in_dkv = [&](std::int64_t c) { return const_cast<std::byte*>(at(dkv.raw(), c, act)); };
  kernels::run(cx, kernels::AttentionBackward{.heads = s.shape.heads,
                                              .kv_heads = s.shape.kv_heads,
                                              .d1 = s.shape.d1,
                                              .d2 = s.shape.d2,
                                              .dv = s.shape.dv,
                                              .k1_row = s.layout.width,
                                              .k1_head = s.layout.k_stride,
                                              .k2_row = s.shape.d2,
                                              .v_row = s.layout.width,
                                              .v_head = s.layout.v_stride,
                                              .scale = s.shape.scale,
                                              .rows = s.q.size(0),
                                              .q = s.q.raw(),
                                              .k1 = at(s.kv.raw(), s.layout.k, act),
                                              .k2 = s.k_pe.raw(),
                                              .v = at(s.kv.raw(), s.layout.v, act),
                                              .out = s.out.raw(),
                                              .lse = s.lse.data<float>(),
                                              .d_out = grad.raw(),
                                              .dq = dq.raw(),
                                              .dk1 = in_dkv(s.layout.k),
                                              .dk2 = dk_pe.raw(),
                                              .dv_out = in_dkv(s.layout.v),
                                              .sequence_starts = s.starts.data(),
                                              .sequence_count = static_cast<std::int64_t>(s.starts.size()) - 1,
                                              .act = act});
  autograd::accumulate(s.q, std::move(dq));
  autograd::accumulate(s.kv, std::move(dkv));
  if (s.k_pe.defined()) autograd::accumulate(s.k_pe, std::move(dk_pe));
}

}  // namespace

Tensor attention(const Context& cx, const Tensor& q, const Tensor& kv, const Tensor& k_pe, const AttentionShape& shape,
                 const KvLayout& layout, std::span<const std::int64_t> starts) {
  const std::int64_t rows = q.size(0);
  require(q.size(1) == shape.heads * (shape.d1 + shape.d2) && kv.shape() == Shape{rows, layout.width} &&
              kv.dtype() == q.dtype() && k_pe.defined() == (shape.d2 > 0) && !starts.empty() && starts.back() == rows,
          "attention", "q (T, H * (d1 + d2)), kv (T, width), k_pe (T, d2), starts up to T", {&q, &kv, &k_pe});
  autograd::Tape* tape = autograd::tape_of({&q, &kv, &k_pe});
  Tensor out = Tensor::empty({rows, shape.heads * shape.dv}, q.dtype());
  Tensor lse = tape != nullptr ? Tensor::empty({rows, shape.heads}, DType::f32) : Tensor();
  std::vector<KeyTile> tiles;
  std::vector<std::int64_t> first_tile;
  for (std::size_t s = 0; s + 1 < starts.size(); ++s) {
    first_tile.push_back(static_cast<std::int64_t>(tiles.size()));
    for (std::int64_t r = starts[s]; r < starts[s + 1]; r += kKeyTile) {
      tiles.push_back({at(kv.raw(), r * layout.width + layout.k, q.dtype()),
                       shape.d2 > 0 ? at(k_pe.raw(), r * shape.d2, q.dtype()) : nullptr,
                       at(kv.raw(), r * layout.width + layout.v, q.dtype())});
    }
  }
  std::vector<kernels::AttentionSequence> sequences;
  for (std::size_t s = 0; s + 1 < starts.size(); ++s) {
    sequences.push_back({starts[s], starts[s + 1], 0, tiles.data() + first_tile[s]});
  }
  kernels::Attention p = params(q, shape, layout, out, tape != nullptr ? lse.data<float>() : nullptr);
  p.sequences = sequences.data();
  p.sequence_count = static_cast<std::int64_t>(sequences.size());
  kernels::run(cx, p);
  if (shape.e5m6_out) kernels::run(cx, kernels::RoundE5m6{rows, out.size(1), out.raw(), out.raw(), out.dtype()});
  if (tape != nullptr) {
    Saved saved{q, kv, k_pe, out, lse, shape, layout, {starts.begin(), starts.end()}};
    tape->record(out, [&cx, saved = std::move(saved)](Tensor grad) { attention_backward(cx, saved, grad); });
  }
  return out;
}

Tensor attention_cached(const Context& cx, const Tensor& q, const CacheLayer& layer,
                        std::span<const CacheSequence> sequences, const AttentionShape& shape, const KvLayout& layout) {
  require(q.size(1) == shape.heads * (shape.d1 + shape.d2) && q.dtype() == layer.dtype &&
              layer.width1 == layout.width && layer.width2 == shape.d2 &&
              (layer.heads == 1 || (layer.heads == shape.kv_heads && layout.k_stride * layer.heads == layout.width &&
                                    layout.v_stride == layout.k_stride)),
          "attention_cached", "q (T, H * (d1 + d2)) of the cache's dtype and widths", {&q});
  Tensor out = Tensor::empty({q.size(0), shape.heads * shape.dv}, q.dtype());
  std::vector<std::vector<KeyTile>> tiles(sequences.size());
  std::vector<kernels::AttentionSequence> list;
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    const CacheSequence& c = sequences[s];
    const std::int64_t length = c.first + c.row_end - c.row_begin;
    for (std::int64_t b = 0; b * kKeyTile < length; ++b) {
      const std::int64_t row = static_cast<std::int64_t>(c.blocks[static_cast<std::size_t>(b)]) * kKeyTile;
      tiles[s].push_back({at(layer.data1, row * layout.width + layout.k, q.dtype()),
                          shape.d2 > 0 ? at(layer.data2, row * shape.d2, q.dtype()) : nullptr,
                          at(layer.data1, row * layout.width + layout.v, q.dtype())});
    }
    list.push_back({c.row_begin, c.row_end, c.first, tiles[s].data()});
  }
  kernels::Attention p = params(q, shape, layout, out, nullptr);
  if (layer.heads > 1) {
    p.k1_row = p.v_row = layer.width1 / layer.heads;
    p.k1_head = p.v_head = kKeyTile * p.k1_row;
  }
  p.sequences = list.data();
  p.sequence_count = static_cast<std::int64_t>(list.size());
  kernels::run(cx, p);
  return out;
}

}  // namespace hadal::ops
