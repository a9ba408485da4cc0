// Grouped matmul of the experts, ragged: the operands of all groups are packed in one region, then tasks over (group,
// block of rows) in another.
#include <vector>

#include "kernels/cpu/gemm.h"

namespace hadal::kernels::HADAL_ISA_NS {

namespace {

struct Block {
  i64 group, row, rows;
};

// Blocks of at most `size` rows, none across groups; larger ones first, so that the last tasks are short.
std::vector<Block> row_blocks(const i32* offsets, i64 groups, i64 size) {
  std::vector<Block> blocks;
  for (i64 g = 0; g < groups; ++g) {
    const i64 rows = offsets[g + 1] - offsets[g], parts = blocks_of(rows, size);
    for (i64 i = 0; i < parts; ++i) {
      const i64 begin = rows * i / parts, end = rows * (i + 1) / parts;
      blocks.push_back({g, offsets[g] + begin, end - begin});
    }
  }
  std::stable_sort(blocks.begin(), blocks.end(), [](const Block& a, const Block& b) { return a.rows > b.rows; });
  return blocks;
}

template <class T>
void grouped_rows(const Context& cx, const GroupedMatmul& p) {
  const auto operand = [&](i64 g) {
    return RightOperand<T>{static_cast<const T*>(p.b) + g * p.n * p.k, p.n, p.k, p.b_transposed ? p.k : p.n,
                           p.b_transposed};
  };
  const i64 panels = blocks_of(p.n, kPanel), words_of_panel = operand(0).panel_words();
  auto* packed = static_cast<float*>(
      cx.scratch().shared(0, static_cast<std::size_t>(p.groups * panels * words_of_panel) * sizeof(float)));
  cx.pool().run(p.groups * panels, [&](i64 task, int) {
    const i64 g = task / panels;
    if (p.offsets[g + 1] > p.offsets[g]) operand(g).pack(task % panels, packed + task * words_of_panel);
  });
  const std::vector<Block> blocks = row_blocks(p.offsets, p.groups, kRowBlock);
  const LeftOperand<T> a{static_cast<const T*>(p.a), p.offsets[p.groups], p.k, p.lda, false};
  const Output out{p.c, p.ldc, p.c_dtype, nullptr, false};
  cx.pool().run(static_cast<i64>(blocks.size()), [&](i64 task, int worker) {
    const Block& block = blocks[static_cast<std::size_t>(task)];
    const TaskScratch<T> s(cx, worker, kRowBlock, a.block_words(block.rows));
    const Left left = a.pack(block.row, block.rows, s.block);
    for (i64 panel = 0; panel < panels; ++panel) {
      panel_product<T>(left, block.rows, p.k, dot_chunk(p.k), packed + (block.group * panels + panel) * words_of_panel,
                       std::min(kPanel, p.n - panel * kPanel), s.tile, out, block.row, panel * kPanel);
    }
  });
}

// dw_g = dy_gᵀ x_g: a task is (group, panel of x's columns); it packs the panel, then each block of dy's columns.
template <class T>
void grouped_gradient(const Context& cx, const GroupedWeightGrad& p) {
  const i64 panels = blocks_of(p.k, kPanel), row_panels = blocks_of(p.n, kPanel);
  i64 longest = 0;
  for (i64 g = 0; g < p.groups; ++g) longest = std::max<i64>(longest, p.offsets[g + 1] - p.offsets[g]);
  const i64 panel_words = kPanel * words<T>(longest);
  // Both operands of a group are packed by every task that needs them: dy once a group, shared by the tasks of the
  // group.
  auto* packed = static_cast<float*>(
      cx.scratch().shared(0, static_cast<std::size_t>(p.groups * row_panels * panel_words) * sizeof(float)));
  const auto left_of = [&](i64 g) {
    const i64 rows = p.offsets[g + 1] - p.offsets[g];
    return LeftOperand<T>{static_cast<const T*>(p.dy) + p.offsets[g] * p.n, p.n, rows, p.n, true};
  };
  cx.pool().run(p.groups * row_panels, [&](i64 task, int) {
    const i64 g = task / row_panels, first = task % row_panels * kPanel;
    if (p.offsets[g + 1] > p.offsets[g])
      left_of(g).pack(first, std::min(kPanel, p.n - first), packed + task * panel_words);
  });
  cx.pool().run(p.groups * panels, [&](i64 task, int worker) {
    const i64 g = task / panels, panel = task % panels, rows = p.offsets[g + 1] - p.offsets[g];
    if (rows == 0) return;
    const RightOperand<T> b{static_cast<const T*>(p.x) + p.offsets[g] * p.k, p.k, rows, p.k, false};
    const TaskScratch<T> s(cx, worker, kPanel, b.panel_words());
    b.pack(panel, s.block);
    const Output out{p.dw + g * p.n * p.k, p.k, DType::f32, nullptr, true};
    for (i64 i = 0; i < row_panels; ++i) {
      const i64 count = std::min(kPanel, p.n - i * kPanel);
      const Left left{packed + (g * row_panels + i) * panel_words, 1, padded(count)};
      panel_product<T>(left, count, rows, kWeightGradChunk, s.block, std::min(kPanel, p.k - panel * kPanel), s.tile,
                       out, i * kPanel, panel * kPanel);
    }
  });
}

}  // namespace

void grouped_matmul(const Context& cx, const GroupedMatmul& p) {
  if (p.ab == DType::bf16) {
    grouped_rows<bf16>(cx, p);
  } else {
    grouped_rows<float>(cx, p);
  }
}

void grouped_weight_grad(const Context& cx, const GroupedWeightGrad& p) {
  if (p.ab == DType::bf16) {
    grouped_gradient<bf16>(cx, p);
  } else {
    grouped_gradient<float>(cx, p);
  }
}

}  // namespace hadal::kernels::HADAL_ISA_NS
