// Grouped matmul of the experts, ragged: the operands of all groups are packed in one region, then tasks over (group,
// block of rows) in another. Few rows a group (decode): tasks over (group, panel), each packed and used at once.
#include <vector>

#include "kernels/cpu/thin.h"

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
PanelOperand<T> weights_of(const GroupedMatmul& p, i64 g) {
  return {static_cast<const T*>(p.b) + g * p.n * p.k, p.n, p.k, p.b_transposed ? p.k : p.n, p.b_transposed};
}

template <class T>
void few_rows(const Context& cx, const GroupedMatmul& p) {
  const RowOperand<T> a{static_cast<const T*>(p.a), p.k, p.lda};
  const i64 rows = p.offsets[p.groups], panels = weights_of<T>(p, 0).panels();
  float* packed = shared_words(cx, 0, a.block_words(rows));
  a.pack(0, rows, packed);
  std::vector<Block> used;
  for (i64 g = 0; g < p.groups; ++g) {
    if (p.offsets[g + 1] > p.offsets[g]) used.push_back({g, p.offsets[g], p.offsets[g + 1] - p.offsets[g]});
  }
  const Output out{p.c, p.ldc, p.c_dtype, nullptr, false};
  cx.pool().run(static_cast<i64>(used.size()) * panels, [&](i64 task, int worker) {
    const Block& group = used[static_cast<std::size_t>(task / panels)];
    const PanelOperand<T> b = weights_of<T>(p, group.group);
    const i64 panel = task % panels;
    const TaskScratch s(cx, worker, kFewRows, b.panel_words());
    const Left left{packed + a.block_words(group.row), padded(words<T>(p.k)), 1};
    if (b.along && group.rows <= kThinRows) {
      thin_panel<T>(left, group.rows, b, panel, dot_chunk(p.k), s.tiles, out, group.row);
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
  const auto operand = [&](i64 g) { return weights_of<T>(p, g); };
  const i64 tasks = operand(0).tasks(), panels = operand(0).panels(), group_words = operand(0).all_words();
  float* packed = shared_words(cx, 0, p.groups * group_words);
  cx.pool().run(p.groups * tasks, [&](i64 task, int) {
    const i64 g = task / tasks;
    if (p.offsets[g + 1] > p.offsets[g]) operand(g).pack_task(task % tasks, packed + g * group_words);
  });
  const std::vector<Block> blocks = row_blocks(p.offsets, p.groups, kRowBlock);
  const RowOperand<T> a{static_cast<const T*>(p.a), p.k, p.lda};
  const Output out{p.c, p.ldc, p.c_dtype, nullptr, false};
  cx.pool().run(static_cast<i64>(blocks.size()), [&](i64 task, int worker) {
    const Block& block = blocks[static_cast<std::size_t>(task)];
    const TaskScratch s(cx, worker, kRowBlock, a.block_words(block.rows));
    const Left left = a.pack(block.row, block.rows, s.packed);
    product_of_panels<T>(left, block.rows, p.k, dot_chunk(p.k),
                         {packed + block.group * group_words, p.n, operand(0).panel_words(), 0, panels}, s.tiles, out,
                         block.row);
  });
}

// dw_g = dy_gᵀ x_g. Both operands lie across the sum; where a group's packed operand begins depends on the rows of the
// groups before it.
template <class T>
class GroupedGradient {
 public:
  GroupedGradient(const Context& cx, const GroupedWeightGrad& p) : cx_(cx), p_(p) {
    i64 tasks = 0, left = 0, right = 0;
    for (i64 g = 0; g < p.groups; ++g) {
      places_.push_back({tasks, left, right});
      tasks += left_of(g).tasks();
      left += left_of(g).all_words();
      right += right_of(g).all_words();
    }
    places_.push_back({tasks, left, right});
    left_ = shared_words(cx, 0, left);
    right_ = shared_words(cx, 1, right);
  }

  void run() const {
    cx_.pool().run(places_.back().task, [&](i64 task, int) {
      i64 g = 0;
      while (places_[static_cast<std::size_t>(g) + 1].task <= task) ++g;
      const Place& at = places_[static_cast<std::size_t>(g)];
      left_of(g).pack_task(task - at.task, left_ + at.left);
      right_of(g).pack_task(task - at.task, right_ + at.right);
    });
    const i64 blocks = blocks_of(p_.n, kPanel);
    cx_.pool().run(p_.groups * blocks, [&](i64 task, int worker) { block(task / blocks, task % blocks, worker); });
  }

 private:
  struct Place {
    i64 task, left, right;
  };

  i64 rows(i64 g) const { return p_.offsets[g + 1] - p_.offsets[g]; }
  PanelOperand<T> left_of(i64 g) const {
    return {static_cast<const T*>(p_.dy) + p_.offsets[g] * p_.n, p_.n, rows(g), p_.n, false};
  }
  PanelOperand<T> right_of(i64 g) const {
    return {static_cast<const T*>(p_.x) + p_.offsets[g] * p_.k, p_.k, rows(g), p_.k, false};
  }

  // Rows [i * kPanel, ...) of dw_g.
  void block(i64 g, i64 i, int worker) const {
    if (rows(g) == 0 && p_.accumulate) return;
    const PanelOperand<T> a = left_of(g), b = right_of(g);
    const Place& at = places_[static_cast<std::size_t>(g)];
    const TaskScratch s(cx_, worker, kPanel, 0);
    const Left left{left_ + at.left + i * a.panel_words(), 1, padded(a.columns(i))};
    const Output out{p_.dw + g * p_.n * p_.k, p_.k, DType::f32, nullptr, p_.accumulate};
    product_of_panels<T>(left, a.columns(i), rows(g), kWeightGradChunk,
                         {right_ + at.right, p_.k, b.panel_words(), 0, b.panels()}, s.tiles, out, i * kPanel);
  }

  const Context& cx_;
  const GroupedWeightGrad& p_;
  std::vector<Place> places_;  // where each group's tasks and packed operands begin, and the ends
  float *left_ = nullptr, *right_ = nullptr;
};

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
    GroupedGradient<bf16>(cx, p).run();
  } else {
    GroupedGradient<float>(cx, p).run();
  }
}

}  // namespace hadal::kernels::HADAL_ISA_NS
