#include "ops/rope.h"

#include "autograd/tape.h"
#include "kernels/kernels.h"
#include "ops/common.h"

namespace hadal::ops {

namespace {

void rotate(const kernels::Context& cx, const Tensor& x, std::int64_t heads, const RopeTable& table,
            const Tensor& positions, bool inverse) {
  const std::int64_t rows = x.size(0), width = x.size(1) / heads, rot = table.cos.size(1) * 2;
  auto* first = static_cast<std::byte*>(x.raw()) + static_cast<std::size_t>(width - rot) * size_of(x.dtype());
  kernels::run(cx, kernels::Rope{.rows = rows,
                                 .heads = heads,
                                 .rot = rot,
                                 .x = first,
                                 .x_row = x.size(1),
                                 .x_head = width,
                                 .y = first,
                                 .y_row = x.size(1),
                                 .y_head = width,
                                 .act = x.dtype(),
                                 .positions = positions.data<std::int32_t>(),
                                 .cos = table.cos.data<float>(),
                                 .sin = table.sin.data<float>(),
                                 .interleaved = table.interleaved,
                                 .inverse = inverse});
}

}  // namespace

Tensor rope(const kernels::Context& cx, Tensor x, std::int64_t heads, const RopeTable& table, const Tensor& positions) {
  require(x.rank() == 2 && x.size(1) % heads == 0 && x.size(1) / heads >= table.cos.size(1) * 2 &&
              positions.numel() == x.size(0),
          "rope", "x (T, heads * width) with width >= rot, positions (T)", {&x, &table.cos, &positions});
  for (const std::int32_t p : positions.span<std::int32_t>()) {
    if (p < 0 || p >= table.cos.size(0))
      fail("[rope] position {} is outside of the table of {} positions", p, table.cos.size(0));
  }
  Tensor y = x.detach();
  rotate(cx, y, heads, table, positions, false);
  if (autograd::Tape* tape = autograd::tape_of({&x})) {
    tape->record(y, [&cx, x = x.shell(), heads, table, positions](Tensor dy) {
      Tensor dx = dy.exclusive() ? dy : dy.clone();
      dy = Tensor();
      rotate(cx, dx, heads, table, positions, true);
      autograd::accumulate(x, std::move(dx));
    });
  }
  return y;
}

}  // namespace hadal::ops
