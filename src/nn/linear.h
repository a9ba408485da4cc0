// The linears of a block in the run's precision: plain, or fp8 (SPEC §6.2). Results in the activation dtype.
#pragma once

#include "nn/input.h"
#include "ops/fp8_linear.h"
#include "ops/products.h"

namespace hadal::nn {

// y = x Wᵀ (+ b)
Tensor linear(const Input& in, const Tensor& x_TK, const Tensor& w_NK, const Tensor& bias_N = {},
              ops::Fp8Input input = ops::Fp8Input::plain);
// The same for rows dispatched to experts.
Tensor grouped_linear(const Input& in, const Tensor& x_SK, const Tensor& w_ENK, const Tensor& offsets_E1);

// (silu(g) * u) Wᵀ, of a dense or shared part, or with offsets of the experts. silu(g) * u is made again in the
// backward where the run says so, and always in fp8.
Tensor swiglu_linear(const Input& in, const Tensor& g, const Tensor& u, const Tensor& w, const Tensor& offsets_E1 = {});

// The same three among other products: what they give is there after with.run(), at the latest.
Tensor linear(const Input& in, ops::Products& with, const Tensor& x_TK, const Tensor& w_NK, const Tensor& bias_N = {});
Tensor grouped_linear(const Input& in, ops::Products& with, const Tensor& x_SK, const Tensor& w_ENK,
                      const Tensor& offsets_E1);
Tensor swiglu_linear(const Input& in, ops::Products& with, const Tensor& g, const Tensor& u, const Tensor& w,
                     const Tensor& offsets_E1 = {});

}  // namespace hadal::nn
