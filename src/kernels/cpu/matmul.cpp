// Dense matmul. Many rows: pack B once for all, then tasks over blocks of rows. Few rows (decode): tasks over panels of
// B, each packed and used at once, so that the weights are read a single time.
#include "kernels/cpu/gemm.h"

namespace hadal::kernels::HADAL_ISA_NS {

namespace {

constexpr i64 kFewRows = 16;

template <class T>
struct Dense {
  const Context& cx;
  const Matmul& p;
  RightOperand<T> b{static_cast<const T*>(p.b), p.n, p.k, p.ldb, p.b_transposed};
  LeftOperand<T> a{static_cast<const T*>(p.a), p.m, p.k, p.lda, p.a_transposed};
  Output out{p.c, p.ldc, p.c_dtype, p.bias, p.accumulate};
  i64 chunk = p.chunk > 0 ? p.chunk : dot_chunk(p.k);

  void run() const {
    if (p.m <= 0 || p.n <= 0) return;
    if (p.m <= kFewRows) {
      few_rows();
    } else {
      many_rows();
    }
  }

  void few_rows() const {
    auto* packed_a =
        static_cast<float*>(cx.scratch().shared(0, static_cast<std::size_t>(a.block_words(p.m)) * sizeof(float)));
    const Left left = a.pack(0, p.m, packed_a);
    cx.pool().run(b.panels(), [&](i64 panel, int worker) {
      const TaskScratch<T> s(cx, worker, p.m, b.panel_words());
      b.pack(panel, s.block);
      panel_product<T>(left, p.m, p.k, chunk, s.block, columns(panel), s.tile, out, 0, panel * kPanel);
    });
  }

  void many_rows() const {
    auto* packed_b = static_cast<float*>(
        cx.scratch().shared(0, static_cast<std::size_t>(b.panels() * b.panel_words()) * sizeof(float)));
    cx.pool().run(b.panels(), [&](i64 panel, int) { b.pack(panel, packed_b + panel * b.panel_words()); });
    const i64 size = a.block_rows(), blocks = blocks_of(p.m, size);
    // Few blocks of rows are split along the columns, too, so that every thread has work.
    const i64 wanted = 4 * cx.pool().size(),
              splits = std::min(b.panels(), blocks >= wanted ? 1 : blocks_of(wanted, blocks));
    cx.pool().run(blocks * splits, [&](i64 task, int worker) {
      const i64 row = task / splits * size, rows = std::min(size, p.m - row), split = task % splits;
      const TaskScratch<T> s(cx, worker, size, a.block_words(rows));
      const Left left = a.pack(row, rows, s.block);
      for (i64 panel = b.panels() * split / splits; panel < b.panels() * (split + 1) / splits; ++panel) {
        panel_product<T>(left, rows, p.k, chunk, packed_b + panel * b.panel_words(), columns(panel), s.tile, out, row,
                         panel * kPanel);
      }
    });
  }

  i64 columns(i64 panel) const { return std::min(kPanel, p.n - panel * kPanel); }
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
