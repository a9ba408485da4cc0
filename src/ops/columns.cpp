#include "ops/columns.h"

#include "autograd/tape.h"
#include "kernels/kernels.h"
#include "ops/common.h"

namespace hadal::ops {

namespace {

using kernels::Context;

std::byte* column(const Tensor& x, std::int64_t c) {
  return static_cast<std::byte*>(x.raw()) + static_cast<std::size_t>(c) * size_of(x.dtype());
}

// Copies columns [from, from + n) of x to columns [to, to + n) of y.
void copy_columns(const Context& cx, const Tensor& x, std::int64_t from, const Tensor& y, std::int64_t to,
                  std::int64_t n) {
  kernels::run(cx, kernels::CopyBlock{.rows = x.size(0),
                                      .cols = n,
                                      .x = column(x, from),
                                      .ldx = x.size(1),
                                      .y = column(y, to),
                                      .ldy = y.size(1),
                                      .element = static_cast<std::int64_t>(size_of(x.dtype()))});
}

// Both halves write into one gradient of x; whichever comes first makes it.
void give_columns(const Context& cx, const Tensor& x, const Tensor& part, std::int64_t to) {
  Tensor dx = Tensor::zeros(x.shape(), x.dtype());
  copy_columns(cx, part, 0, dx, to, part.size(1));
  autograd::accumulate(x, std::move(dx));
}

}  // namespace

std::pair<Tensor, Tensor> split_columns(const Context& cx, const Tensor& x, std::int64_t first) {
  require(x.rank() == 2 && first > 0 && first < x.size(1), "split_columns", "x (T, a + b)", {&x});
  const std::int64_t second = x.size(1) - first;
  Tensor a = Tensor::empty({x.size(0), first}, x.dtype()), b = Tensor::empty({x.size(0), second}, x.dtype());
  copy_columns(cx, x, 0, a, 0, first);
  copy_columns(cx, x, first, b, 0, second);
  if (autograd::Tape* tape = autograd::tape_of({&x})) {
    tape->record(a, [&cx, x = x.shell()](Tensor grad) { give_columns(cx, x, grad, 0); });
    tape->record(b, [&cx, x = x.shell(), first](Tensor grad) { give_columns(cx, x, grad, first); });
  }
  return {std::move(a), std::move(b)};
}

Tensor concat_columns(const Context& cx, const Tensor& a, const Tensor& b) {
  require(a.rank() == 2 && b.rank() == 2 && a.size(0) == b.size(0) && a.dtype() == b.dtype(), "concat_columns",
          "a (T, n) and b (T, m) of one dtype", {&a, &b});
  Tensor y = Tensor::empty({a.size(0), a.size(1) + b.size(1)}, a.dtype());
  copy_columns(cx, a, 0, y, 0, a.size(1));
  copy_columns(cx, b, 0, y, a.size(1), b.size(1));
  if (autograd::Tape* tape = autograd::tape_of({&a, &b})) {
    tape->record(y, [&cx, a = a.shell(), b = b.shell()](Tensor grad) {
      Tensor da = Tensor::empty(a.shape(), a.dtype()), db = Tensor::empty(b.shape(), b.dtype());
      copy_columns(cx, grad, 0, da, 0, a.size(1));
      copy_columns(cx, grad, a.size(1), db, 0, b.size(1));
      autograd::accumulate(a, std::move(da));
      autograd::accumulate(b, std::move(db));
    });
  }
  return y;
}

Tensor select_rows(const Context& cx, const Tensor& x, std::span<const std::int32_t> rows) {
  require(x.rank() == 2, "select_rows", "x (T, d)", {&x});
  Tensor index = Tensor::of<std::int32_t>(rows, {static_cast<std::int64_t>(rows.size())});
  Tensor y = Tensor::empty({index.size(0), x.size(1)}, x.dtype());
  for (const std::int32_t r : rows) {
    if (r < 0 || r >= x.size(0)) fail("[select_rows] row {} of {}", r, x.size(0));
  }
  kernels::run(cx, kernels::GatherRows{.n = y.size(0),
                                       .d = x.size(1),
                                       .x = x.raw(),
                                       .rows_of = index.data<std::int32_t>(),
                                       .y = y.raw(),
                                       .act = x.dtype()});
  if (autograd::Tape* tape = autograd::tape_of({&x})) {
    tape->record(y, [&cx, x = x.shell(), index](Tensor grad) {
      Tensor dx = Tensor::zeros(x.shape(), x.dtype());
      const auto where = index.span<std::int32_t>();
      const auto count = static_cast<std::int64_t>(where.size());
      const auto place = [&](std::int64_t i) { return std::int64_t{where[static_cast<std::size_t>(i)]}; };
      // Runs of neighbours at a time: training picks all rows but a few.
      for (std::int64_t begin = 0, end = 0; begin < count; begin = end) {
        for (end = begin + 1; end < count && place(end) == place(end - 1) + 1;) ++end;
        copy_columns(cx, grad.rows(begin, end), 0, dx.rows(place(begin), place(begin) + end - begin), 0, x.size(1));
      }
      autograd::accumulate(x, std::move(dx));
    });
  }
  return y;
}

}  // namespace hadal::ops
