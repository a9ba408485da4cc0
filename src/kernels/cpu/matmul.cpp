// Dense matmul. Many rows: pack B once for all (and A where it lies across k), then tasks over blocks of rows. Few
// rows: few_rows.h.
#include "kernels/cpu/few_rows.h"
#include "kernels/cpu/gemm.h"

namespace hadal::kernels::HADAL_ISA_NS {

namespace {

template <class T>
struct Dense {
  const Context& cx;
  const Matmul& p;
  PanelOperand<T> b{static_cast<const T*>(p.b), p.n, p.k, p.ldb, p.b_transposed, p.b_packed};
  Output out{p.c, p.ldc, p.c_dtype, p.bias, p.accumulate};
  i64 chunk = p.chunk > 0 ? p.chunk : dot_chunk(p.k);

  RowOperand<T> rows_of_a() const { return {static_cast<const T*>(p.a), p.k, p.lda}; }
  PanelOperand<T> panels_of_a() const { return {static_cast<const T*>(p.a), p.m, p.k, p.lda, false}; }

  void many_rows() const {
    float* packed_b = shared_words(cx, 0, b.ready() ? 0 : b.all_words());
    const PanelOperand<T> a = panels_of_a();
    float* packed_a = p.a_transposed ? shared_words(cx, 1, a.all_words()) : nullptr;
    const i64 a_tasks = p.a_transposed ? a.tasks() : 0;
    cx.pool().run(a_tasks + b.tasks(), [&](i64 task, int) {
      task < a_tasks ? a.pack_task(task, packed_a) : b.pack_task(task - a_tasks, packed_b);
    });
    const float* panels_b = b.panels_at(packed_b);
    const i64 size = p.a_transposed ? kPanel : kRowBlock, blocks = blocks_of(p.m, size);
    // Few blocks of rows are split along the columns, too, so that every thread has work.
    const i64 wanted = 4 * cx.pool().size(),
              splits = std::min(b.panels(), blocks >= wanted ? 1 : blocks_of(wanted, blocks));
    cx.pool().run(blocks * splits, [&](i64 task, int worker) {
      const i64 block = task / splits, row = block * size, rows = std::min(size, p.m - row), split = task % splits;
      const RowOperand<T> own = rows_of_a();
      const TaskScratch s(cx, worker, size, p.a_transposed ? 0 : own.block_words(rows));
      const Left left =
          p.a_transposed ? Left{packed_a + block * a.panel_words(), 1, padded(rows)} : own.pack(row, rows, s.packed);
      const Panels panels{panels_b, p.n, b.panel_words(), b.panels() * split / splits,
                          b.panels() * (split + 1) / splits};
      product_of_panels<T>(left, rows, p.k, chunk, panels, s.tiles, out, row);
    });
  }
};

}  // namespace

void matmul(const Context& cx, const Matmul& p) {
  if (p.m <= 0 || p.n <= 0) return;
  if (p.m <= kFewRows) {
    few_rows(cx, {&p, 1});
  } else if (p.ab == DType::bf16) {
    Dense<bf16>{cx, p}.many_rows();
  } else {
    Dense<float>{cx, p}.many_rows();
  }
}

void matmuls(const Context& cx, const Matmuls& p) {
  const std::span<const Matmul> list(p.list, static_cast<std::size_t>(p.count));
  if (std::all_of(list.begin(), list.end(), [](const Matmul& x) { return x.m <= kFewRows; })) {
    few_rows(cx, list);
  } else {
    for (const Matmul& x : list) matmul(cx, x);
  }
}

}  // namespace hadal::kernels::HADAL_ISA_NS
