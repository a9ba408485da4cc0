// Grouped matmul of the experts, ragged. A task is a piece of a group: it packs the group's operands into its own
// scratch and uses them while they are in its cache. Few rows a group (decode): few_rows.h.
#include "kernels/cpu/few_rows.h"
#include "kernels/cpu/gemm.h"

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
  const i64 stride = p.b_packed ? packed_elements(p.n, p.k, p.ab) : p.n * p.k;
  return {static_cast<const T*>(p.b) + g * stride, p.n, p.k, p.b_transposed ? p.k : p.n, p.b_transposed, p.b_packed};
}

void products_of_groups(const Context& cx, const GroupedMatmul& p) {
  std::vector<Matmul> list;
  const auto size = static_cast<i64>(size_of(p.ab));
  const i64 stride = (p.b_packed ? packed_elements(p.n, p.k, p.ab) : p.n * p.k) * size;
  for (i64 g = 0; g < p.groups; ++g) {
    const i64 first = p.offsets[g];
    if (p.offsets[g + 1] == first) continue;
    list.push_back({.m = p.offsets[g + 1] - first,
                    .n = p.n,
                    .k = p.k,
                    .a = static_cast<const char*>(p.a) + first * p.lda * size,
                    .lda = p.lda,
                    .b = static_cast<const char*>(p.b) + g * stride,
                    .ldb = p.b_transposed ? p.k : p.n,
                    .b_transposed = p.b_transposed,
                    .b_packed = p.b_packed,
                    .c = static_cast<char*>(p.c) + first * p.ldc * static_cast<i64>(size_of(p.c_dtype)),
                    .ldc = p.ldc,
                    .ab = p.ab,
                    .c_dtype = p.c_dtype});
  }
  few_rows(cx, list);
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
      product_of_panels<T>(left, rows, p.k, dot_chunk(p.k),
                           {b.panels_at(s.packed), p.n, b.panel_words(), 0, b.panels()}, s.tiles, out,
                           piece.row + begin);
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
  if (most <= kFewRows) {
    products_of_groups(cx, p);
  } else if (p.ab == DType::bf16) {
    many_rows<bf16>(cx, p);
  } else {
    many_rows<float>(cx, p);
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
