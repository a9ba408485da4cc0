#include "ops/fp8_linear.h"

#include "autograd/tape.h"
#include "kernels/kernels.h"
#include "ops/common.h"

namespace hadal::ops {

namespace {

using kernels::Context;
using kernels::fp8_tiles;

struct Quantised {
  Tensor values, scales;  // E4M3 numbers in bf16
};

// A dense linear is one group.
Tensor one_group(std::int64_t rows) {
  const std::vector<std::int32_t> ends = {0, static_cast<std::int32_t>(rows)};
  return Tensor::of<std::int32_t>(ends, {2});
}

Quantised in_rows(const Context& cx, const Tensor& x, bool power) {
  const std::int64_t rows = x.size(0), k = x.size(1);
  Quantised q{Tensor::empty({rows, k}, DType::bf16), Tensor::empty({rows, fp8_tiles(k)}, DType::f32)};
  kernels::run(cx, kernels::Fp8Rows{.rows = rows,
                                    .k = k,
                                    .x = x.raw(),
                                    .x_dtype = x.dtype(),
                                    .power = power,
                                    .values = q.values.data<bf16>(),
                                    .scales = q.scales.data<float>()});
  return q;
}

// The same as codes of one byte: what is kept for the backward.
Quantised packed(const Context& cx, const Tensor& x) {
  const std::int64_t rows = x.size(0), k = x.size(1);
  Quantised q{Tensor::empty({rows, k}, DType::u8), Tensor::empty({rows, fp8_tiles(k)}, DType::f32)};
  kernels::run(cx, kernels::Fp8Rows{.rows = rows,
                                    .k = k,
                                    .x = x.raw(),
                                    .x_dtype = x.dtype(),
                                    .codes = q.values.data<std::uint8_t>(),
                                    .scales = q.scales.data<float>()});
  return q;
}

Tensor unpacked(const Context& cx, const Quantised& q) {
  const std::int64_t rows = q.values.size(0), k = q.values.size(1);
  Tensor y = Tensor::empty({rows, k}, DType::f32);
  kernels::run(cx, kernels::Fp8Unpack{rows, k, q.values.data<std::uint8_t>(), q.scales.data<float>(), y.data<float>()});
  return y;
}

// Tiles of 128 x 1 of x, or of the numbers and scales of its tiles of 1 x 128.
Quantised in_columns(const Context& cx, const Quantised& x, const Tensor& offsets, bool power) {
  const std::int64_t groups = offsets.numel() - 1, k = x.values.size(1);
  const std::int64_t tiles = kernels::fp8_column_tiles(groups, offsets.data<std::int32_t>());
  Quantised q{Tensor::empty(x.values.shape(), DType::bf16), Tensor::empty({tiles, k}, DType::f32)};
  kernels::run(cx, kernels::Fp8Columns{.groups = groups,
                                       .k = k,
                                       .offsets = offsets.data<std::int32_t>(),
                                       .x = x.values.raw(),
                                       .x_dtype = x.values.dtype(),
                                       .x_scales = x.scales.defined() ? x.scales.data<float>() : nullptr,
                                       .power = power,
                                       .values = q.values.data<bf16>(),
                                       .scales = q.scales.data<float>()});
  return q;
}

// One linear, dense or grouped.
struct Linear {
  const Context& cx;
  Tensor w, offsets;
  bool dy_power = false;
  std::int64_t groups = offsets.numel() - 1, n = w.size(-2), k = w.size(-1);

  Quantised weight() const {
    Quantised q{Tensor::empty(w.shape(), DType::bf16), Tensor::empty({groups, fp8_tiles(n), fp8_tiles(k)}, DType::f32)};
    kernels::run(cx,
                 kernels::Fp8Blocks{groups, n, k, w.raw(), w.dtype(), q.values.data<bf16>(), q.scales.data<float>()});
    return q;
  }

  // a Wᵀ, or with `input_gradient` a W.
  Tensor product(const Quantised& a, bool input_gradient, DType dtype, const Tensor& bias = {}) const {
    const Quantised q = weight();
    Tensor c = Tensor::empty({a.values.size(0), input_gradient ? k : n}, dtype);
    kernels::run(cx, kernels::Fp8Matmul{.groups = groups,
                                        .n = input_gradient ? k : n,
                                        .k = input_gradient ? n : k,
                                        .offsets = offsets.data<std::int32_t>(),
                                        .a = a.values.data<bf16>(),
                                        .a_scales = a.scales.data<float>(),
                                        .w = q.values.data<bf16>(),
                                        .w_scales = q.scales.data<float>(),
                                        .w_transposed = !input_gradient,
                                        .c = c.raw(),
                                        .c_dtype = dtype,
                                        .bias = bias.defined() ? bias.data<float>() : nullptr});
    return c;
  }

  // dy as its tiles of 1 x 128, x in tiles of 128 x 1.
  void weight_gradient(const Quantised& dy, const Quantised& x) const {
    const Quantised columns = in_columns(cx, dy, offsets, dy_power);
    const autograd::LeafSum dw = autograd::leaf_sum(w);
    kernels::run(cx, kernels::Fp8WeightGrad{.groups = groups,
                                            .n = n,
                                            .k = k,
                                            .offsets = offsets.data<std::int32_t>(),
                                            .dy = columns.values.data<bf16>(),
                                            .dy_scales = columns.scales.data<float>(),
                                            .x = x.values.data<bf16>(),
                                            .x_scales = x.scales.data<float>(),
                                            .dw = dw.data,
                                            .accumulate = dw.accumulate});
  }
};

Tensor linear_of(const Linear& l, const Tensor& x, const Tensor& bias, DType y_dtype, Fp8Input input) {
  const bool power = input != Fp8Input::plain;
  Tensor y = l.product(in_rows(l.cx, x, power), false, y_dtype, bias);
  if (autograd::Tape* tape = autograd::tape_of({&x, &l.w, &bias})) {
    tape->record(y, [l, x, bias, input, power](const Tensor& grad) {
      const Quantised dy = in_rows(l.cx, grad, l.dy_power);
      if (x.node()) autograd::accumulate(x, l.product(dy, true, x.dtype()));
      if (l.w.node()) {
        const Quantised whole = input == Fp8Input::after_attention ? Quantised{x, {}} : in_rows(l.cx, x, power);
        l.weight_gradient(dy, in_columns(l.cx, whole, l.offsets, power));
      }
      if (bias.defined() && bias.node()) add_bias_gradient(grad, bias);
    });
  }
  return y;
}

Tensor swiglu_of(const Context& cx, const Tensor& g, const Tensor& u) {
  Tensor h = Tensor::empty(g.shape(), g.dtype());
  kernels::run(cx, kernels::Swiglu{.n = g.numel(), .g = g.raw(), .u = u.raw(), .h = h.raw(), .act = g.dtype()});
  return h;
}

// g, u: shells, for their nodes; g8, u8: their codes.
void swiglu_linear_backward(const Linear& l, const Tensor& g, const Tensor& u, const Quantised& g8, const Quantised& u8,
                            const Tensor& grad) {
  const Quantised dy = in_rows(l.cx, grad, l.dy_power);
  const Tensor g_again = unpacked(l.cx, g8), u_again = unpacked(l.cx, u8);
  if (l.w.node()) {
    l.weight_gradient(dy, in_columns(l.cx, {swiglu_of(l.cx, g_again, u_again), {}}, l.offsets, false));
  }
  if (!g.node() && !u.node()) return;
  const Tensor dh = l.product(dy, true, DType::f32);
  const Tensor dg = Tensor::empty(g.shape(), DType::f32), du = Tensor::empty(u.shape(), DType::f32);
  kernels::run(l.cx, kernels::SwigluBackward{.n = g.numel(),
                                             .g = g_again.raw(),
                                             .u = u_again.raw(),
                                             .dh = dh.raw(),
                                             .dg = dg.raw(),
                                             .du = du.raw(),
                                             .act = DType::f32});
  autograd::accumulate(g, cast(l.cx, dg, g.dtype()));
  autograd::accumulate(u, cast(l.cx, du, u.dtype()));
}

}  // namespace

Tensor fp8_linear(const Context& cx, const Tensor& x, const Tensor& w, DType y_dtype, const Tensor& bias,
                  Fp8Input input) {
  require(x.rank() == 2 && w.rank() == 2 && x.size(1) == w.size(1), "fp8_linear", "x (T, K) and w (N, K)", {&x, &w});
  return linear_of({cx, w, one_group(x.size(0))}, x, bias, y_dtype, input);
}

Tensor fp8_grouped_linear(const Context& cx, const Tensor& x, const Tensor& w, const Tensor& offsets, Fp8Input input) {
  require(x.rank() == 2 && w.rank() == 3 && x.size(1) == w.size(2) && offsets.numel() == w.size(0) + 1,
          "fp8_grouped_linear", "x (S, K), w (E, N, K), offsets (E + 1)", {&x, &w, &offsets});
  return linear_of({cx, w, offsets}, x, {}, x.dtype(), input);
}

Tensor fp8_swiglu_linear(const Context& cx, const Tensor& g, const Tensor& u, const Tensor& w, const Tensor& offsets) {
  const bool grouped = offsets.defined();
  require(g.rank() == 2 && g.shape() == u.shape() && g.dtype() == u.dtype() && w.rank() == (grouped ? 3 : 2) &&
              g.size(1) == w.size(-1) && (!grouped || offsets.numel() == w.size(0) + 1),
          "fp8_swiglu_linear", "g and u (T, K), w (N, K); or w (E, N, K) and offsets (E + 1)", {&g, &u, &w, &offsets});
  const Linear l{cx, w, grouped ? offsets : one_group(g.size(0)), grouped};
  Tensor y = l.product(in_rows(cx, swiglu_of(cx, g, u), false), false, g.dtype());
  if (autograd::Tape* tape = autograd::tape_of({&g, &u, &w})) {
    tape->record(y, [l, g = g.shell(), u = u.shell(), g8 = packed(cx, g), u8 = packed(cx, u)](const Tensor& grad) {
      swiglu_linear_backward(l, g, u, g8, u8, grad);
    });
  }
  return y;
}

}  // namespace hadal::ops
