// Dense matmul. Many rows: pack B once for all (and A where it lies across k), then tasks over blocks of rows. Few rows
// (decode): tasks over panels of B, each packed and used at once, so that the weights are read a single time.
#include "kernels/cpu/thin.h"

namespace hadal::kernels::HADAL_ISA_NS {

namespace {

template <class T>
struct Dense {
  const Context& cx;
  const Matmul& p;
  PanelOperand<T> b{static_cast<const T*>(p.b), p.n, p.k, p.ldb, p.b_transposed};
  Output out{p.c, p.ldc, p.c_dtype, p.bias, p.accumulate};
  i64 chunk = p.chunk > 0 ? p.chunk : dot_chunk(p.k);

  RowOperand<T> rows_of_a() const { return {static_cast<const T*>(p.a), p.k, p.lda}; }
  PanelOperand<T> panels_of_a() const { return {static_cast<const T*>(p.a), p.m, p.k, p.lda, false}; }

  void run() const {
    if (p.m <= 0 || p.n <= 0) return;
    if (p.m <= kFewRows) {
      few_rows();
    } else {
      many_rows();
    }
  }

  Left pack_few() const {
    if (p.a_transposed) {
      const PanelOperand<T> a = panels_of_a();
      float* packed = shared_words(cx, 0, a.all_words());
      a.pack_panel(0, packed);
      return {packed, 1, padded(p.m)};
    }
    const RowOperand<T> a = rows_of_a();
    return a.pack(0, p.m, shared_words(cx, 0, a.block_words(p.m)));
  }

  // One stretch of B a thread: within it, what comes next is asked for while this is used.
  void few_rows() const {
    const Left left = pack_few();
    const bool thin = b.along && p.m <= kThinRows && left.word == 1;
    const i64 width = thin ? kThinColumns : kPanel, parts = blocks_of(p.n, width);
    const i64 tasks = std::min<i64>(parts, cx.pool().size());
    cx.pool().run(tasks, [&](i64 task, int worker) {
      const TaskScratch s(cx, worker, p.m, thin ? 0 : b.panel_words());
      for (i64 part = parts * task / tasks; part < parts * (task + 1) / tasks; ++part) {
        if (thin) {
          thin_product<T>(left, p.m, b, part * width, chunk, s.tiles, out, 0);
          continue;
        }
        b.pack_panel(part, s.packed);
        const Panels one{s.packed - part * b.panel_words(), p.n, b.panel_words(), part, part + 1};
        product_of_panels<T>(left, p.m, p.k, chunk, one, s.tiles, out, 0);
      }
    });
  }

  void many_rows() const {
    float* packed_b = shared_words(cx, 0, b.all_words());
    const PanelOperand<T> a = panels_of_a();
    float* packed_a = p.a_transposed ? shared_words(cx, 1, a.all_words()) : nullptr;
    const i64 a_tasks = p.a_transposed ? a.tasks() : 0;
    cx.pool().run(a_tasks + b.tasks(), [&](i64 task, int) {
      task < a_tasks ? a.pack_task(task, packed_a) : b.pack_task(task - a_tasks, packed_b);
    });
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
      const Panels panels{packed_b, p.n, b.panel_words(), b.panels() * split / splits,
                          b.panels() * (split + 1) / splits};
      product_of_panels<T>(left, rows, p.k, chunk, panels, s.tiles, out, row);
    });
  }
};

}  // namespace

void matmul(const Context& cx, const Matmul& p) {
  if (p.ab == DType::bf16) {
    Dense<bf16>{cx, p}.run();
  } else {
    Dense<float>{cx, p}.run();
  }
}

}  // namespace hadal::kernels::HADAL_ISA_NS
