#include "ops/dispatch.h"

#include "autograd/tape.h"
#include "kernels/kernels.h"
#include "ops/common.h"

namespace hadal::ops {

Route route(const Tensor& ids, std::int64_t experts) {
  const std::int64_t rows = ids.size(0), k = ids.size(1);
  Route r{Tensor::zeros({experts + 1}, DType::i32), Tensor::empty({rows * k}, DType::i32),
          Tensor::empty({rows, k}, DType::i32)};
  const std::int32_t* id = ids.data<std::int32_t>();
  std::int32_t* offsets = r.offsets_E1.data<std::int32_t>();
  for (std::int64_t s = 0; s < rows * k; ++s) ++offsets[id[s] + 1];
  for (std::int64_t e = 0; e < experts; ++e) offsets[e + 1] += offsets[e];
  std::vector<std::int32_t> next(offsets, offsets + experts);
  for (std::int64_t s = 0; s < rows * k; ++s) {
    const std::int32_t row = next[static_cast<std::size_t>(id[s])]++;
    r.token_of_S.data<std::int32_t>()[row] = static_cast<std::int32_t>(s / k);
    r.row_of_TK.data<std::int32_t>()[s] = row;
  }
  return r;
}

Tensor dispatch(const kernels::Context& cx, const Tensor& x, const Route& route) {
  require(x.rank() == 2 && x.size(0) == route.row_of_TK.size(0), "dispatch", "x (T, d), route of T tokens",
          {&x, &route.row_of_TK});
  const std::int64_t slots = route.token_of_S.size(0), d = x.size(1);
  Tensor y = Tensor::empty({slots, d}, x.dtype());
  kernels::run(cx, kernels::GatherRows{.n = slots,
                                       .d = d,
                                       .x = x.raw(),
                                       .rows_of = route.token_of_S.data<std::int32_t>(),
                                       .y = y.raw(),
                                       .act = x.dtype()});
  if (autograd::Tape* tape = autograd::tape_of({&x})) {
    tape->record(y, [&cx, x = x.shell(), row_of = route.row_of_TK, d](Tensor dy) {
      Tensor dx = Tensor::empty(x.shape(), x.dtype());
      kernels::run(cx, kernels::GatherSum{.rows = x.size(0),
                                          .top_k = row_of.size(1),
                                          .d = d,
                                          .y = dy.raw(),
                                          .slot_row = row_of.data<std::int32_t>(),
                                          .out = dx.raw(),
                                          .act = x.dtype()});
      autograd::accumulate(x, std::move(dx));
    });
  }
  return y;
}

Tensor combine(const kernels::Context& cx, const Tensor& y, const Tensor& weights, const Tensor& shared,
               const Route& route) {
  const std::int64_t rows = route.row_of_TK.size(0), k = route.row_of_TK.size(1), d = y.size(1);
  require(weights.shape() == route.row_of_TK.shape() && (!shared.defined() || shared.shape() == Shape{rows, d}),
          "combine", "y (S, d), weights (T, k), shared (T, d)", {&y, &weights, &shared});
  Tensor out = Tensor::empty({rows, d}, y.dtype());
  kernels::run(cx, kernels::GatherSum{.rows = rows,
                                      .top_k = k,
                                      .d = d,
                                      .y = y.raw(),
                                      .slot_row = route.row_of_TK.data<std::int32_t>(),
                                      .weights = weights.data<float>(),
                                      .shared = shared.raw(),
                                      .out = out.raw(),
                                      .act = y.dtype()});
  if (autograd::Tape* tape = autograd::tape_of({&y, &weights, &shared})) {
    tape->record(out, [&cx, y, weights, shared = shared.shell(), row_of = route.row_of_TK, rows, k, d](Tensor grad) {
      Tensor dy = Tensor::empty(y.shape(), y.dtype()), dw = Tensor::empty(weights.shape(), DType::f32);
      kernels::run(cx, kernels::CombineBackward{.rows = rows,
                                                .top_k = k,
                                                .d = d,
                                                .y = y.raw(),
                                                .slot_row = row_of.data<std::int32_t>(),
                                                .weights = weights.data<float>(),
                                                .d_out = grad.raw(),
                                                .dy = dy.raw(),
                                                .d_weights = dw.data<float>(),
                                                .act = y.dtype()});
      autograd::accumulate(y, std::move(dy));
      autograd::accumulate(weights, std::move(dw));
      autograd::accumulate(shared, std::move(grad));
    });
  }
  return out;
}

}  // namespace hadal::ops
