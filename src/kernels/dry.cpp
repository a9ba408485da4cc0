#include "kernels/dry.h"

#include <algorithm>

#include "kernels/declare.h"
#include "kernels/kernels.h"

namespace hadal::kernels {

namespace {

// Sizes as in cpu/gemm.h, grouped.cpp, attention.cpp and attention_backward.cpp; tests/train/plan_test.cpp compares.
constexpr i64 kRowBlock = 96, kTilePanels = 8, kLine = 16;
constexpr i64 kNormChunk = 64, kSquaresBlock = 4096, kStripRows = 48, kBlockTiles = 4;
constexpr i64 kTotalsBytes = 64 << 20;

i64 blocks_of(i64 n, i64 size) { return (n + size - 1) / size; }
i64 padded(i64 n, i64 size = kLine) { return blocks_of(n, size) * size; }

// 32-bit words of a row of n elements: two to a word where the ISA multiplies pairs.
i64 words(const Context& cx, DType dtype, i64 n) {
  return dtype == DType::bf16 && cx.isa() == Isa::avx512bf16 ? (n + 1) / 2 : padded(n, 2);
}

void shared(const Context& cx, int slot, i64 floats) {
  if (cx.isa() == Isa::ref) return;  // they need none
  cx.scratch().shared(slot, static_cast<std::size_t>(4 * floats));
}

// The tasks of a region take all workers, or as many as there are tasks.
void each_worker(const Context& cx, i64 tasks, i64 floats) {
  if (cx.isa() == Isa::ref) return;
  for (int w = 0; w < std::min<i64>(tasks, cx.pool().size()); ++w)
    cx.scratch().worker(w, static_cast<std::size_t>(4 * floats));
}

// Columns of a panel of a right operand.
i64 panel(const Context& cx) { return cx.isa() == Isa::avx2 ? 16 : 64; }
i64 tiles(const Context& cx, i64 rows) { return kTilePanels * rows * panel(cx); }

template <class P>
void dry(const Context&, const P&) {}

void dry(const Context& cx, const Matmul& p) {
  if (p.m <= 0 || p.n <= 0) return;
  const i64 line = words(cx, p.ab, p.k), panels = blocks_of(p.n, panel(cx));
  if (p.m <= kFewRows) {
    shared(cx, 0, std::max(p.m, p.a_transposed ? panel(cx) : 0) * padded(line));
    each_worker(cx, panels, tiles(cx, p.m) + (line + 1) * panel(cx));
    return;
  }
  shared(cx, 0, panels * panel(cx) * line);
  if (p.a_transposed) shared(cx, 1, padded(p.m, panel(cx)) * line);
  const i64 size = p.a_transposed ? panel(cx) : kRowBlock;
  each_worker(cx, blocks_of(p.m, size) * panels,
              tiles(cx, size) + (p.a_transposed ? 0 : std::min(size, p.m) * padded(line)) + panel(cx));
}

void dry(const Context& cx, const Matmuls& p) {
  for (i64 i = 0; i < p.count; ++i) dry(cx, p.list[i]);
}

i64 most_rows(const i32* offsets, i64 groups) {
  i64 most = 0;
  for (i64 g = 0; g < groups; ++g) most = std::max<i64>(most, offsets[g + 1] - offsets[g]);
  return most;
}

void dry(const Context& cx, const GroupedMatmul& p) {
  const i64 most = most_rows(p.offsets, p.groups), line = words(cx, p.ab, p.k);
  if (most == 0) return;
  if (most <= kFewRows) {
    shared(cx, 0, p.offsets[p.groups] * padded(line));
    each_worker(cx, p.groups * blocks_of(p.n, panel(cx)), tiles(cx, kFewRows) + (line + 1) * panel(cx));
    return;
  }
  each_worker(cx, p.groups,
              tiles(cx, kRowBlock) + padded(p.n, panel(cx)) * line + kRowBlock * padded(line) + panel(cx));
}

void dry(const Context& cx, const GroupedWeightGrad& p) {
  const i64 rows = p.offsets[p.groups], panels = blocks_of(p.n, panel(cx));
  const i64 piece = std::max<i64>(4 * kRowBlock, blocks_of(rows, 8 * cx.pool().size()));
  i64 most = 0;
  for (i64 g = 0; g < p.groups; ++g) {
    const i64 own = p.offsets[g + 1] - p.offsets[g], parts = std::clamp<i64>(blocks_of(own, piece), 1, panels);
    most = std::max(most, (blocks_of(panels, parts) * panel(cx) + padded(p.k, panel(cx))) * words(cx, p.ab, own));
  }
  each_worker(cx, p.groups, tiles(cx, panel(cx)) + most + panel(cx));
}

void dry(const Context& cx, const RmsNormBackward& p) { shared(cx, 0, blocks_of(p.rows, kNormChunk) * p.d); }
void dry(const Context& cx, const SumSquares& p) {
  shared(cx, 0, blocks_of(p.n, kSquaresBlock));
  *p.result = 0;
}

void dry(const Context& cx, const Attention& p) {
  const i64 width = p.d1 + p.d2, q_stride = padded(words(cx, p.act, width)), v_stride = padded(p.dv);
  const i64 fit = std::clamp<i64>((i64{1} << 17) / (q_stride + v_stride), 64, 512) / 64 * 64;
  const i64 heads = std::min(p.heads / p.kv_heads, fit), tile = kKeyTile;
  i64 rows = std::max<i64>(1, fit / heads), tasks = 0;
  if (rows > tile) rows = rows / tile * tile;
  for (i64 s = 0; s < p.sequence_count; ++s)
    tasks += blocks_of(p.sequences[s].row_end - p.sequences[s].row_begin, rows) * blocks_of(p.heads, heads);
  const i64 block = heads * rows * q_stride + (words(cx, p.act, width) + 1 + kStripRows) * tile +
                    words(cx, p.act, tile) * v_stride + 2 * heads * rows * (v_stride + 2);
  each_worker(cx, tasks, block);
}

void dry(const Context& cx, const AttentionBackward& p) {
  const i64 width = p.d1 + p.d2, group = p.heads / p.kv_heads, tile = kKeyTile;
  i64 longest = 0;
  for (i64 s = 0; s < p.sequence_count; ++s)
    longest = std::max(longest, p.sequence_starts[s + 1] - p.sequence_starts[s]);
  const i64 head_bytes = 4 * p.rows * ((group == 1 ? 0 : p.d1 + p.dv) + p.d2);
  const i64 fit = head_bytes == 0 ? p.heads : kTotalsBytes / head_bytes;
  const i64 busy = blocks_of(4 * cx.pool().size(), std::max<i64>(1, p.sequence_count));
  const i64 wave = std::min(p.heads, padded(std::max(fit, busy), group));
  shared(cx, 0, wave * head_bytes / 4 + kLine);
  shared(cx, 1, p.rows * p.d2 + kLine);
  const i64 columns = padded(width), v_columns = padded(p.dv), lines = words(cx, p.act, tile);
  const i64 keys =
      (words(cx, p.act, width) + words(cx, p.act, p.dv)) * tile + (lines + tile) * columns + tile * v_columns;
  const i64 queries = tile * (padded(words(cx, p.act, width)) + padded(words(cx, p.act, p.dv))) +
                      lines * (columns + v_columns) + 5 * tile * tile;
  each_worker(cx, p.sequence_count * wave, longest * (columns + 1) + kBlockTiles * keys + queries);
}

void dry(const Context&, const Gate& p) {
  for (i64 t = 0; t < p.rows; ++t) {
    i32* ids = p.ids + t * p.top_k;
    if (p.forced != nullptr) {
      std::copy_n(p.forced + t * p.top_k, p.top_k, ids);
      continue;
    }
    for (i64 j = 0; j < p.top_k; ++j) ids[j] = static_cast<i32>((t * p.top_k + j) % p.experts);
    std::sort(ids, ids + p.top_k);
  }
}

}  // namespace

const Table& dry_table() {
#define HADAL_DRY(name, Params) .name = [](const Context& cx, const Params& p) { dry(cx, p); },
  static const Table table{HADAL_KERNELS(HADAL_DRY)};
#undef HADAL_DRY
  return table;
}

}  // namespace hadal::kernels
