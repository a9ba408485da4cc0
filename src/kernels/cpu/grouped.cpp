// Grouped matmul of the experts, ragged. A task is a piece of a group: it packs the group's operands into its own
// scratch and uses them while they are in its cache. Few rows a group (decode): tasks over (group, panel), each panel
// used at once.
#include "kernels/cpu/thin.h"

namespace hadal::kernels::HADAL_ISA_NS {

namespace {

// `rows` rows of a group from `row` on; or, of its weight gradient, the panels [begin, end) of dy.
struct Piece {
  i64 group, row, rows, begin = 0, end = 0;
  i64 work() const { return rows * std::max<i64>(1, end - begin); }
};

// About eight pieces a thread, the longest first, so that the last ones are short.
i64 rows_of_piece(const Context& cx, i64 rows) {
  return std::max<i64>(4 * kRowBlock, blocks_of(rows, 8 * cx.pool().size()));
}
void longest_first(std::vector<Piece>& pieces) {
  std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.work() > b.work(); });
}

template <class T>
PanelOperand<T> weights_of(const GroupedMatmul& p, i64 g) {
  return {static_cast<const T*>(p.b) + g * p.n * p.k, p.n, p.k, p.b_transposed ? p.k : p.n, p.b_transposed};
}

template <class T>
void few_rows(const Context& cx, const GroupedMatmul& p) {
  const RowOperand<T> a{static_cast<const T*>(p.a), p.k, p.lda};
  const i64 rows = p.offsets[p.groups], panels = weights_of<T>(p, 0).panels();
  float* packed = shared_words(cx, 0, a.block_words(rows));
  a.pack(0, rows, packed);
  std::vector<Piece> used;
  for (i64 g = 0; g < p.groups; ++g) {
    if (p.offsets[g + 1] > p.offsets[g]) used.push_back({g, p.offsets[g], p.offsets[g + 1] - p.offsets[g]});
  }
  const Output out{p.c, p.ldc, p.c_dtype, nullptr, false};
  cx.pool().run(static_cast<i64>(used.size()) * panels, [&](i64 task, int worker) {
    const Piece& group = used[static_cast<std::size_t>(task / panels)];
    const PanelOperand<T> b = weights_of<T>(p, group.group);
    const i64 panel = task % panels;
    const TaskScratch s(cx, worker, kFewRows, b.panel_words());
    const Left left{packed + a.block_words(group.row), padded(words<T>(p.k)), 1};
    if (b.along && group.rows <= kThinRows) {
      for (i64 c = panel * kPanel; c < panel * kPanel + b.columns(panel); c += kThinColumns) {
        thin_product<T>(left, group.rows, b, c, dot_chunk(p.k), s.tiles, out, group.row);
      }
      return;
    }
    b.pack_panel(panel, s.packed);
    product_of_panels<T>(left, group.rows, p.k, dot_chunk(p.k),
                         {s.packed - panel * b.panel_words(), p.n, b.panel_words(), panel, panel + 1}, s.tiles, out,
                         group.row);
  });
}

template <class T>
void many_rows(const Context& cx, const GroupedMatmul& p) {
  const i64 most = rows_of_piece(cx, p.offsets[p.groups]);
  std::vector<Piece> pieces;
  for (i64 g = 0; g < p.groups; ++g) {
    const i64 rows = p.offsets[g + 1] - p.offsets[g], parts = blocks_of(rows, most);
    for (i64 i = 0; i < parts; ++i) {
      const i64 begin = rows * i / parts;
      pieces.push_back({g, p.offsets[g] + begin, rows * (i + 1) / parts - begin});
    }
  }
  longest_first(pieces);
  const RowOperand<T> a{static_cast<const T*>(p.a), p.k, p.lda};
  const Output out{p.c, p.ldc, p.c_dtype, nullptr, false};
  cx.pool().run(static_cast<i64>(pieces.size()), [&](i64 task, int worker) {
    const Piece& piece = pieces[static_cast<std::size_t>(task)];
    const PanelOperand<T> b = weights_of<T>(p, piece.group);
    const TaskScratch s(cx, worker, kRowBlock, b.all_words() + a.block_words(kRowBlock));
    b.pack(s.packed);
    const i64 blocks = blocks_of(piece.rows, kRowBlock);
    for (i64 i = 0; i < blocks; ++i) {
      const i64 begin = piece.rows * i / blocks, rows = piece.rows * (i + 1) / blocks - begin;
      const Left left = a.pack(piece.row + begin, rows, s.packed + b.all_words());
      product_of_panels<T>(left, rows, p.k, dot_chunk(p.k), {s.packed, p.n, b.panel_words(), 0, b.panels()}, s.tiles,
                           out, piece.row + begin);
    }
  });
}

// dw_g = dy_gᵀ x_g: a piece is some panels of dy's columns, hence some rows of dw.
template <class T>
void weight_gradient(const Context& cx, const GroupedWeightGrad& p) {
  const i64 most = rows_of_piece(cx, p.offsets[p.groups]), panels = blocks_of(p.n, kPanel);
  std::vector<Piece> pieces;
  for (i64 g = 0; g < p.groups; ++g) {
    const i64 rows = p.offsets[g + 1] - p.offsets[g], parts = std::clamp<i64>(blocks_of(rows, most), 1, panels);
    if (rows == 0 && p.accumulate) continue;
    for (i64 i = 0; i < parts; ++i) {
      pieces.push_back({g, p.offsets[g], rows, panels * i / parts, panels * (i + 1) / parts});
    }
  }
  longest_first(pieces);
  cx.pool().run(static_cast<i64>(pieces.size()), [&](i64 task, int worker) {
    const Piece& piece = pieces[static_cast<std::size_t>(task)];
    const i64 first = piece.begin * kPanel, columns = std::min(p.n, piece.end * kPanel) - first;
    const PanelOperand<T> a{static_cast<const T*>(p.dy) + piece.row * p.n + first, columns, piece.rows, p.n, false};
    const PanelOperand<T> b{static_cast<const T*>(p.x) + piece.row * p.k, p.k, piece.rows, p.k, false};
    const TaskScratch s(cx, worker, kPanel, a.all_words() + b.all_words());
    a.pack(s.packed);
    b.pack(s.packed + a.all_words());
    const Output out{p.dw + piece.group * p.n * p.k, p.k, DType::f32, nullptr, p.accumulate};
    for (i64 i = 0; i < a.panels(); ++i) {
      const Left left{s.packed + i * a.panel_words(), 1, padded(a.columns(i))};
      product_of_panels<T>(left, a.columns(i), piece.rows, kWeightGradChunk,
                           {s.packed + a.all_words(), p.k, b.panel_words(), 0, b.panels()}, s.tiles, out,
                           first + i * kPanel);
    }
  });
}

}  // namespace

void grouped_matmul(const Context& cx, const GroupedMatmul& p) {
  i64 most = 0;
  for (i64 g = 0; g < p.groups; ++g) most = std::max<i64>(most, p.offsets[g + 1] - p.offsets[g]);
  if (most == 0) return;
  const bool few = most <= kFewRows;
  if (p.ab == DType::bf16) {
    few ? few_rows<bf16>(cx, p) : many_rows<bf16>(cx, p);
  } else {
    few ? few_rows<float>(cx, p) : many_rows<float>(cx, p);
  }
}

void grouped_weight_grad(const Context& cx, const GroupedWeightGrad& p) {
  if (p.ab == DType::bf16) {
    weight_gradient<bf16>(cx, p);
  } else {
    weight_gradient<float>(cx, p);
  }
}

}  // namespace hadal::kernels::HADAL_ISA_NS
