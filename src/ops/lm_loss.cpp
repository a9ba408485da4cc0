#include "ops/lm_loss.h"

#include <algorithm>

#include "autograd/tape.h"
#include "kernels/kernels.h"
#include "ops/common.h"

namespace hadal::ops {

namespace {

using kernels::Context;

// Rows whose logits exist at one time: whole chunks of the weight gradient's sum, 32 MiB where the vocabulary lets
// them.
std::int64_t rows_at_once(std::int64_t vocab) {
  constexpr std::int64_t kBytes = 32 << 20, kChunk = kernels::kWeightGradChunk;
  return std::clamp(kBytes / (4 * vocab) / kChunk * kChunk, kChunk, 8 * kChunk);
}

void check(const Tensor& hidden, const Tensor& w, const Tensor& targets) {
  require(hidden.rank() == 2 && w.rank() == 2 && hidden.size(1) == w.size(1) && hidden.dtype() == w.dtype() &&
              targets.numel() == hidden.size(0) && targets.dtype() == DType::i32,
          "lm_loss", "hidden (T, d), w (V, d), targets (T) i32", {&hidden, &w, &targets});
  for (const std::int32_t t : targets.span<std::int32_t>()) {
    if (t < -1 || t >= w.size(0)) fail("[lm_loss] target {} is outside of the vocabulary of {}", t, w.size(0));
  }
}

void logits_of(const Context& cx, const Tensor& x, const Tensor& w, const Tensor& logits) {
  const std::int64_t d = w.size(1), vocab = w.size(0);
  kernels::run(cx, kernels::Matmul{.m = x.size(0),
                                   .n = vocab,
                                   .k = d,
                                   .a = x.raw(),
                                   .lda = d,
                                   .b = w.raw(),
                                   .ldb = d,
                                   .c = logits.raw(),
                                   .ldc = vocab,
                                   .ab = w.dtype()});
}

void scale_by(float s, Tensor& x) {
  if (s == 1.0f) return;
  const auto scale = [s](auto values) {
    for (auto& v : values) v = std::remove_cvref_t<decltype(v)>(static_cast<float>(v) * s);
  };
  x.dtype() == DType::bf16 ? scale(x.span<bf16>()) : scale(x.span<float>());
}

}  // namespace

LmLoss lm_loss(const Context& cx, const Tensor& hidden, const Tensor& w, const Tensor& targets,
               const Tensor& coefficient) {
  check(hidden, w, targets);
  require(hidden.size(0) > 0, "lm_loss", "at least one row", {&hidden});
  const std::int64_t rows = hidden.size(0), d = w.size(1), vocab = w.size(0), part = rows_at_once(vocab);
  autograd::Tape* tape = autograd::tape_of({&hidden, &w});
  LmLoss out{Tensor::zeros({}, DType::f32), Tensor::empty({rows}, DType::f32)};
  Tensor dx = tape != nullptr && hidden.node() ? Tensor::empty(hidden.shape(), hidden.dtype()) : Tensor();
  Tensor dw = tape != nullptr && w.node() ? Tensor::empty(w.shape(), DType::f32) : Tensor();
  Tensor logits = Tensor::empty({std::min(rows, part), vocab}, DType::f32);
  Tensor d_logits = tape == nullptr           ? Tensor()
                    : w.dtype() == DType::f32 ? logits
                                              : Tensor::empty(logits.shape(), w.dtype());
  for (std::int64_t r = 0; r < rows; r += part) {
    const std::int64_t n = std::min(part, rows - r);
    const Tensor x = hidden.rows(r, r + n);
    logits_of(cx, x, w, logits);
    kernels::run(cx, kernels::CrossEntropy{.rows = n,
                                           .vocab = vocab,
                                           .logits = logits.data<float>(),
                                           .targets = targets.data<std::int32_t>() + r,
                                           .nll = out.nll_T.data<float>() + r,
                                           .coefficient = coefficient.data<float>() + r,
                                           .d_logits = d_logits.raw(),
                                           .d_dtype = w.dtype()});
    if (dx.defined()) {
      kernels::run(cx, kernels::Matmul{.m = n,
                                       .n = d,
                                       .k = vocab,
                                       .a = d_logits.raw(),
                                       .lda = vocab,
                                       .b = w.raw(),
                                       .ldb = d,
                                       .b_transposed = false,
                                       .c = dx.rows(r, r + n).raw(),
                                       .ldc = d,
                                       .ab = w.dtype(),
                                       .c_dtype = dx.dtype()});
    }
    if (dw.defined()) {
      kernels::run(cx, kernels::Matmul{.m = vocab,
                                       .n = d,
                                       .k = n,
                                       .a = d_logits.raw(),
                                       .lda = vocab,
                                       .a_transposed = true,
                                       .b = x.raw(),
                                       .ldb = d,
                                       .b_transposed = false,
                                       .c = dw.raw(),
                                       .ldc = d,
                                       .ab = w.dtype(),
                                       .accumulate = r > 0,
                                       .chunk = kernels::kWeightGradChunk});
    }
  }
  double loss = 0;
  for (std::int64_t t = 0; t < rows; ++t) {
    loss += static_cast<double>(coefficient.data<float>()[t]) * out.nll_T.data<float>()[t];
  }
  *out.loss.data<float>() = static_cast<float>(loss);
  if (tape != nullptr) {
    tape->record(out.loss, [hidden = hidden.shell(), w = w.shell(), dx, dw](Tensor grad) mutable {
      const float s = *grad.data<float>();
      if (dx.defined()) {
        scale_by(s, dx);
        autograd::accumulate(hidden, std::move(dx));
      }
      if (dw.defined()) {
        scale_by(s, dw);
        autograd::accumulate(w, std::move(dw));
      }
    });
  }
  return out;
}

Tensor log_probs(const Context& cx, const Tensor& hidden, const Tensor& w, const Tensor& targets) {
  check(hidden, w, targets);
  const Tensor none = Tensor::zeros(targets.shape(), DType::f32);
  Tensor result = lm_loss(cx, hidden.detach(), w.detach(), targets, none).nll_T;
  for (float& v : result.span<float>()) v = -v;
  return result;
}

float log_prob_of_row(const Context& cx, std::span<const float> logits, std::int32_t target) {
  float nll = 0;
  kernels::run(cx, kernels::CrossEntropy{.rows = 1,
                                         .vocab = static_cast<std::int64_t>(logits.size()),
                                         .logits = logits.data(),
                                         .targets = &target,
                                         .nll = &nll});
  return -nll;
}

}  // namespace hadal::ops
