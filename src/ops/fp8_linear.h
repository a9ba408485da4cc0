// The linears of fp8 training (V3 §3.3, SPEC §6.2), emulated: the products run on E4M3 numbers with the scales, tiles
// and order of sums that DeepSeek describes (kernels/fp8.h), as bf16 products of our own.
//   y  = x Wᵀ (+ b)    x in tiles of 1 x 128, W in blocks of 128 x 128
//   dx = dy W          dy in tiles of 1 x 128
//   dW += dyᵀ x        both dequantised and requantised in tiles of 128 x 1, tokens of a group counted from its first
//   db += column sums of dy as it comes
// Scales are made from what is quantised, at once. W is the f32 master (or bf16); x, dy are f32 or bf16. Rounding
// counts as the identity in every backward.
#pragma once

#include "kernels/context.h"
#include "tensor/tensor.h"

namespace hadal::ops {

enum class Fp8Input : std::uint8_t {
  plain,
  dispatched,  // sent to experts in FP8: scales are powers of two
  // Kept as E5M6 (round_e5m6): scales are powers of two, and tiles of 128 x 1 are made from x itself.
  after_attention,
};

// x (T, K), w (N, K), bias (N) f32 or undefined; y (T, N).
Tensor fp8_linear(const kernels::Context& cx, const Tensor& x, const Tensor& w, DType y_dtype, const Tensor& bias = {},
                  Fp8Input input = Fp8Input::plain);

// x (rows of all groups, K), sorted by group; w (E, N, K); offsets (E + 1) i32; y (rows, N) in x's dtype.
Tensor fp8_grouped_linear(const kernels::Context& cx, const Tensor& x, const Tensor& w, const Tensor& offsets,
                          Fp8Input input = Fp8Input::dispatched);

// y = (silu(g) * u) Wᵀ. Only g and u are kept for the backward, as E4M3 codes; silu(g) * u is made again from these.
// w (N, K), or with offsets (E, N, K): dy, which experts are sent in FP8, then has scales that are powers of two.
Tensor fp8_swiglu_linear(const kernels::Context& cx, const Tensor& g, const Tensor& u, const Tensor& w,
                         const Tensor& offsets = {});

}  // namespace hadal::ops
