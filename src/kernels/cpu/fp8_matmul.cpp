// Products of fp8 training, promoted every 128 of k. A task is some rows of a group times some panels of columns: it
// packs what it reads into its own scratch (gemm.h), makes the sums of one chunk for a tile of C, multiplies them by
// the scales of both sides and adds them to the tile's totals.
#include "kernels/cpu/gemm.h"
#include "kernels/declare.h"

namespace hadal::kernels::HADAL_ISA_NS {

HADAL_KERNELS(HADAL_DECLARE)

namespace {

constexpr i64 kTaskRows = 2 * kRowBlock;
constexpr i64 kTaskPanels = 8;

// Scale of vector i in chunk j: of[i / block * vector + j * chunk].
struct Scales {
  const float* of;
  i64 vector, chunk, block;
  float at(i64 i, i64 j) const { return of[i / block * vector + j * chunk]; }
};

struct Tile {
  float *total, *part;  // (rows, kPanel) each
  i64 rows, columns;    // columns: a multiple of 16
};

// total = fma(part, row's scale * column's scale, total) for chunk j.
void promote(const Tile& t, const Scales& a, i64 row, const Scales& b, i64 column, i64 valid, i64 j) {
  alignas(64) float scales[kPanel] = {};
  for (i64 n = 0; n < valid; ++n) scales[n] = b.at(column + n, j);
  for (i64 m = 0; m < t.rows; ++m) {
    const F32x16 s = set1(a.at(row + m, j));
    for (i64 n = 0; n < t.columns; n += kLanes) {
      float* total = t.total + m * kPanel + n;
      store(total, fma(load(t.part + m * kPanel + n), s * load(scales + n), load(total)));
    }
  }
}

// Rows [row, row + rows) of C, the columns of one panel; `row` counts in C and in the scales.
struct Product {
  const Left& left;
  const float* panel;
  i64 k, row, rows, column, columns;
};

void promoted_product(const Product& p, const Scales& a, const Scales& b, const Tile& room, const Output& out) {
  const Tile t{room.total, room.part, p.rows, padded(p.columns)};
  std::fill_n(t.total, p.rows * kPanel, 0.0f);
  const Right right{p.panel, words<bf16>(p.k), t.columns};
  for (i64 first = 0; first < p.k; first += kFp8Tile) {
    product<pair_words<bf16>, Into::store>(0, p.rows, t.columns, words<bf16>(first),
                                           words<bf16>(std::min(kFp8Tile, p.k - first)), p.left, right,
                                           Target{t.part, kPanel});
    promote(t, a, p.row, b, p.column, p.columns, first / kFp8Tile);
  }
  if (out.dtype == DType::bf16) {
    store_tile<bf16>(t.total, p.rows, p.columns, out, p.row, p.column);
  } else {
    store_tile<float>(t.total, p.rows, p.columns, out, p.row, p.column);
  }
}

struct Piece {
  i64 group, row, rows, begin, end;  // panels [begin, end)
  i64 tile = 0;                      // of a weight gradient: the group's first one
};

struct Room {
  Tile tile;
  float *left, *panel;
  Room(const Context& cx, int worker, i64 rows, i64 left_words, i64 panel_words) {
    const auto carve = [&](void* base) {
      Carver carver(base);
      tile = {carver.take<float>(rows * kPanel), carver.take<float>(rows * kPanel), rows, kPanel};
      left = carver.take<float>(left_words + kPanel);
      panel = carver.take<float>(panel_words + kPanel);
      return carver.used();
    };
    carve(cx.scratch().worker(worker, carve(nullptr)));
  }
};

}  // namespace

void fp8_matmul(const Context& cx, const Fp8Matmul& p) {
  const i64 panels = blocks_of(p.n, kPanel), chunks = fp8_tiles(p.k), blocks = fp8_tiles(p.n);
  std::vector<Piece> pieces;
  for (i64 g = 0; g < p.groups; ++g) {
    for (i64 r = p.offsets[g]; r < p.offsets[g + 1]; r += kTaskRows) {
      const i64 rows = std::min<i64>(kTaskRows, p.offsets[g + 1] - r);
      for (i64 n = 0; n < panels; n += kTaskPanels)
        pieces.push_back({g, r, rows, n, std::min(panels, n + kTaskPanels)});
    }
  }
  const RowOperand<bf16> a{p.a, p.k, p.k};
  const Output out{p.c, p.n, p.c_dtype, p.bias, false};
  const Scales a_scales{p.a_scales, chunks, 1, 1};
  cx.pool().run(static_cast<i64>(pieces.size()), [&](i64 task, int worker) {
    const Piece& piece = pieces[static_cast<std::size_t>(task)];
    const PanelOperand<bf16> w{p.w + piece.group * p.n * p.k, p.n, p.k, p.w_transposed ? p.k : p.n, p.w_transposed};
    const float* table = p.w_scales + piece.group * chunks * blocks;
    const Scales w_scales = p.w_transposed ? Scales{table, chunks, 1, kFp8Tile} : Scales{table, 1, blocks, kFp8Tile};
    const Room room(cx, worker, piece.rows, a.block_words(piece.rows), w.panel_words());
    const Left left = a.pack(piece.row, piece.rows, room.left);
    for (i64 n = piece.begin; n < piece.end; ++n) {
      w.pack_panel(n, room.panel);
      promoted_product({left, room.panel, p.k, piece.row, piece.rows, n * kPanel, w.columns(n)}, a_scales, w_scales,
                       room.tile, out);
    }
  });
}

// A piece is one panel of dy's columns, hence up to kPanel rows of dw.
void fp8_weight_grad(const Context& cx, const Fp8WeightGrad& p) {
  const i64 down = blocks_of(p.n, kPanel), panels = blocks_of(p.k, kPanel);
  std::vector<Piece> pieces;
  i64 tile = 0;
  for (i64 g = 0; g < p.groups; ++g) {
    const i64 rows = p.offsets[g + 1] - p.offsets[g];
    for (i64 m = 0; m < down && (rows > 0 || !p.accumulate); ++m) {
      for (i64 k = 0; k < panels; k += kTaskPanels) {
        pieces.push_back({g, m * kPanel, rows, k, std::min(panels, k + kTaskPanels), tile});
      }
    }
    tile += fp8_tiles(rows);
  }
  cx.pool().run(static_cast<i64>(pieces.size()), [&](i64 task, int worker) {
    const Piece& piece = pieces[static_cast<std::size_t>(task)];
    const i64 first = p.offsets[piece.group];
    const PanelOperand<bf16> dy{p.dy + first * p.n, p.n, piece.rows, p.n, false};
    const PanelOperand<bf16> x{p.x + first * p.k, p.k, piece.rows, p.k, false};
    const Scales dy_scales{p.dy_scales + piece.tile * p.n, 1, p.n, 1};
    const Scales x_scales{p.x_scales + piece.tile * p.k, 1, p.k, 1};
    const Output out{p.dw + piece.group * p.n * p.k, p.k, DType::f32, nullptr, p.accumulate};
    const Room room(cx, worker, kPanel, dy.panel_words(), x.panel_words());
    const i64 panel = piece.row / kPanel, rows = dy.columns(panel);
    dy.pack_panel(panel, room.left);
    const Left left{room.left, 1, padded(rows)};
    for (i64 k = piece.begin; k < piece.end; ++k) {
      x.pack_panel(k, room.panel);
      promoted_product({left, room.panel, piece.rows, piece.row, rows, k * kPanel, x.columns(k)}, dy_scales, x_scales,
                       room.tile, out);
    }
  });
}

}  // namespace hadal::kernels::HADAL_ISA_NS
