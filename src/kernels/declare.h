// Declares every kernel function: use HADAL_KERNELS(HADAL_DECLARE) inside `namespace hadal::kernels::NAME`, after
// kernels.h; the same list fills that namespace's Table with HADAL_KERNELS(HADAL_ENTRY).
#pragma once

// clang-format off
#define HADAL_KERNELS(X) \
  X(matmul, Matmul) X(matmuls, Matmuls) X(grouped_matmul, GroupedMatmul) X(grouped_weight_grad, GroupedWeightGrad) \
  X(rms_norm, RmsNorm) X(rms_norm_backward, RmsNormBackward) X(rope, Rope) \
  X(swiglu, Swiglu) X(swiglu_backward, SwigluBackward) X(cast, Cast) X(add, Add) X(copy_block, CopyBlock) \
  X(attention, Attention) X(attention_backward, AttentionBackward) \
  X(gate, Gate) X(gate_backward, GateBackward) X(gather_rows, GatherRows) X(gather_sum, GatherSum) \
  X(combine_backward, CombineBackward) X(embedding, Embedding) X(embedding_backward, EmbeddingBackward) \
  X(cross_entropy, CrossEntropy) X(adamw, AdamW) X(sum_squares, SumSquares) X(ema, Ema) \
  X(fp8_rows, Fp8Rows) X(fp8_columns, Fp8Columns) X(fp8_blocks, Fp8Blocks) X(fp8_unpack, Fp8Unpack) \
  X(fp8_matmul, Fp8Matmul) X(fp8_weight_grad, Fp8WeightGrad) X(round_e5m6, RoundE5m6)
#define HADAL_DECLARE(name, Params) void name(const Context&, const Params&);
#define HADAL_ENTRY(name, Params) .name = (name),
// clang-format on
