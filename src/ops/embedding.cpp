#include "ops/embedding.h"

#include <algorithm>
#include <numeric>

#include "autograd/tape.h"
#include "kernels/kernels.h"
#include "ops/common.h"

namespace hadal::ops {

Tensor embedding(const kernels::Context& cx, const Tensor& table, const Tensor& ids) {
  require(table.rank() == 2 && ids.rank() == 1 && ids.dtype() == DType::i32, "embedding",
          "table (V, d) and ids (T) i32", {&table, &ids});
  for (const std::int32_t id : ids.span<std::int32_t>()) {
    if (id < 0 || id >= table.size(0))
      fail("[embedding] token id {} is outside of the vocabulary of {}", id, table.size(0));
  }
  const std::int64_t rows = ids.size(0), d = table.size(1);
  Tensor y = Tensor::empty({rows, d}, DType::f32);
  kernels::run(cx, kernels::Embedding{.rows = rows,
                                      .d = d,
                                      .ids = ids.data<std::int32_t>(),
                                      .table = table.raw(),
                                      .table_dtype = table.dtype(),
                                      .y = y.raw()});
  if (autograd::Tape* tape = autograd::tape_of({&table})) {
    tape->record(y, [&cx, table, ids, rows, d](Tensor dy) {
      std::vector<std::int32_t> order(static_cast<std::size_t>(rows));
      std::iota(order.begin(), order.end(), 0);
      const auto id = ids.span<std::int32_t>();
      std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
        return id[static_cast<std::size_t>(a)] < id[static_cast<std::size_t>(b)];
      });
      kernels::run(cx, kernels::EmbeddingBackward{.rows = rows,
                                                  .d = d,
                                                  .order = order.data(),
                                                  .ids = id.data(),
                                                  .dy = dy.raw(),
                                                  .dy_dtype = dy.dtype(),
                                                  .d_table = autograd::leaf_grad(table)});
    });
  }
  return y;
}

}  // namespace hadal::ops
