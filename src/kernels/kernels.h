// The whole table of kernels: pure functions on pointers and sizes. Shapes are documented here, once.
// Letters: T tokens (rows of the flat batch), d width, E experts, k chosen experts a token, S = T*k slots, H heads, V
// vocabulary. `act` is the dtype of activations: f32 or bf16. Everything else is f32 unless a comment says otherwise.
// Every result is independent of the number of threads and, row for row, of the other rows (DESIGN §3); sums over rows
// (weight gradients) run over fixed chunks of rows in rising order. ref/ defines each kernel; cpu/ is the fast one.
#pragma once

#include <cstdint>

#include "kernels/context.h"
#include "kernels/declare.h"
#include "kernels/fp8.h"
#include "kernels/packed.h"
#include "tensor/dtype.h"

namespace hadal::kernels {

using i32 = std::int32_t;
using i64 = std::int64_t;

// The chunk length of the dot product contract (docs/numerics.md).
constexpr i64 dot_chunk(i64 k) { return k <= 1024 ? 512 : 1024; }
constexpr i64 kWeightGradChunk = 512;

// ---- matmul
// ----------------------------------------------------------------------------------------------------------- C(m, n) =
// sum_k A(m, k) B(k, n), or C += ... with `accumulate` (c then f32). Each element: chunks of k of length `chunk` (0:
// dot_chunk(k)); in a chunk s = +0, then fma over rising k (bf16: per pair (2j, 2j+1) the odd element first, then the
// even; a missing odd element counts as 0); acc = s + acc, acc starting at +0. At the end: acc + bias if there is one;
// then store, or with `accumulate` C + acc. A bf16 C is rounded once.
struct Matmul {
  i64 m = 0, n = 0, k = 0;
  const void* a = nullptr;  // (m, k) rows of lda; or (k, m) rows of lda if a_transposed
  i64 lda = 0;
  bool a_transposed = false;
  const void* b = nullptr;  // (n, k) rows of ldb, as a weight is stored; or (k, n) rows of ldb if b_transposed is false
  i64 ldb = 0;
  bool b_transposed = true;
  bool b_packed = false;  // b is (n, k), packed (packed.h); ldb does not count
  void* c = nullptr;      // (m, n) rows of ldc
  i64 ldc = 0;
  DType ab = DType::f32;  // f32 or bf16, of a and b
  DType c_dtype = DType::f32;
  const float* bias = nullptr;  // (n) or null
  bool accumulate = false;
  i64 chunk = 0;
};

// Rows of A and C are grouped: group g owns rows [offsets[g], offsets[g+1]) and multiplies by its own B.
// C[rows of g] = A[rows of g] B_g, element for element as Matmul does it. Empty groups are allowed.
struct GroupedMatmul {
  i64 groups = 0, n = 0, k = 0;
  const i32* offsets = nullptr;  // (groups + 1), rising, offsets[0] = 0
  const void* a = nullptr;       // (offsets[groups], k), rows of lda
  i64 lda = 0;
  const void* b = nullptr;  // (groups, n, k) if b_transposed, else (groups, k, n); contiguous
  bool b_transposed = true;
  bool b_packed = false;  // each (n, k) packed
  void* c = nullptr;      // (offsets[groups], n), rows of ldc
  i64 ldc = 0;
  DType ab = DType::f32, c_dtype = DType::f32;
};

// Weight gradients of groups: dw_g (n, k) += sum over rows r of group g of dy(r, n) x(r, k), chunks of kWeightGradChunk
// rows counted from the group's first row. dw f32.
struct GroupedWeightGrad {
  i64 groups = 0, n = 0, k = 0;
  const i32* offsets = nullptr;  // (groups + 1)
  const void* dy = nullptr;      // (rows, n), contiguous
  const void* x = nullptr;       // (rows, k), contiguous
  float* dw = nullptr;           // (groups, n, k)
  DType ab = DType::f32;
  bool accumulate = true;  // false: dw is overwritten; true: that of a group without rows is left as it is
};

// ---- norms, rope, elementwise
// --------------------------------------------------------------------------------------------- y = x * rsqrt(mean(x²)
// + eps) * w. Statistics f32: 16 partial sums (column c goes to partial c mod 16, fma in rising order), added pairwise
// as a tree (8, 4, 2, 1 apart).
struct RmsNorm {
  i64 rows = 0, d = 0;
  const void* x = nullptr;  // (rows, d), rows of ldx
  i64 ldx = 0;
  DType x_dtype = DType::f32;
  const float* w = nullptr;  // (d)
  float eps = 1e-6f;
  void* y = nullptr;  // (rows, d), contiguous
  DType y_dtype = DType::f32;
  float* rstd = nullptr;  // (rows) or null
};
struct RmsNormBackward {
  i64 rows = 0, d = 0;
  const void* x = nullptr;  // (rows, d), rows of ldx
  i64 ldx = 0;
  DType x_dtype = DType::f32;
  const float* w = nullptr;     // (d)
  const float* rstd = nullptr;  // (rows)
  const void* dy = nullptr;     // (rows, d), contiguous
  DType dy_dtype = DType::f32;
  void* dx = nullptr;  // (rows, d), rows of lddx
  i64 lddx = 0;
  DType dx_dtype = DType::f32;
  bool dx_accumulate = false;  // dx += instead of dx =
  float* dw = nullptr;         // (d), +=, over chunks of 64 rows whose sums are added in rising order
};

// Rotates pairs of the last `rot` elements... of each head slice: x points at the first element to rotate of head 0,
// row 0. Pair i is (2i, 2i+1) if interleaved, else (i, i + rot/2): (a, b) -> (a cos - b sin, a sin + b cos), in f32,
// one rounding. inverse rotates by the negative angle (the backward). x and y may be the same memory.
struct Rope {
  i64 rows = 0, heads = 0, rot = 0;
  const void* x = nullptr;
  i64 x_row = 0, x_head = 0;  // strides in elements
  void* y = nullptr;
  i64 y_row = 0, y_head = 0;
  DType act = DType::f32;
  const i32* positions = nullptr;  // (rows), into the table
  const float* cos = nullptr;      // (positions, rot/2)
  const float* sin = nullptr;
  bool interleaved = true;
  bool inverse = false;
};

// h = silu(g) * u, elementwise over n elements, computed in f32.
struct Swiglu {
  i64 n = 0;
  const void* g = nullptr;
  const void* u = nullptr;
  void* h = nullptr;
  DType act = DType::f32;
};
struct SwigluBackward {
  i64 n = 0;
  const void* g = nullptr;
  const void* u = nullptr;
  const void* dh = nullptr;
  void* dg = nullptr;
  void* du = nullptr;
  DType act = DType::f32;
};

// y = x (converted), y = a + b (in f32, then rounded to y's dtype), y *= s, over n elements.
struct Cast {
  i64 n = 0;
  const void* x = nullptr;
  DType x_dtype = DType::f32;
  void* y = nullptr;
  DType y_dtype = DType::f32;
};
struct Add {
  i64 n = 0;
  const void* a = nullptr;
  DType a_dtype = DType::f32;
  const void* b = nullptr;
  DType b_dtype = DType::f32;
  void* y = nullptr;  // may be a or b
  DType y_dtype = DType::f32;
};
// Copies a (rows, cols) block between row strides, converting nothing: element size in bytes.
struct CopyBlock {
  i64 rows = 0, cols = 0;
  const void* x = nullptr;
  i64 ldx = 0;
  void* y = nullptr;
  i64 ldy = 0;
  i64 element = 4;
};

// ---- attention
// --------------------------------------------------------------------------------------------------------------- Keys
// and values of one sequence lie in tiles of 64 positions (a cache block, or a slice of the flat batch).
constexpr i64 kKeyTile = 64;
constexpr i64 kKeyChunk = 512;
struct KeyTile {
  const void* k1 = nullptr;  // row 0, head 0 of the first d1 dims of the key
  const void* k2 = nullptr;  // row 0 of the d2 dims shared by all heads (null if d2 == 0)
  const void* v = nullptr;   // row 0, head 0
};
struct AttentionSequence {
  i64 row_begin = 0, row_end = 0;  // query rows of the flat batch
  i64 first_position = 0;  // position in the sequence of row_begin; row r sees keys 0..first_position + r - row_begin
  const KeyTile* tiles = nullptr;  // ceil((first_position + rows) / 64); strides below
};
// out = softmax(scale * q k^T) v, causal. q.k: contract dot over [d1 ; d2]. Keys in tiles of 64; within a chunk of 512
// keys online softmax tile by tile (running max, rescale, add); chunks have their own max and sum and are merged in
// rising order. bf16: P is rounded to bf16 before P V; the row sum adds the unrounded values.
struct Attention {
  i64 heads = 0, kv_heads = 0;  // head h uses key/value head h / (heads / kv_heads)
  i64 d1 = 0, d2 = 0, dv = 0;
  i64 k1_row = 0, k1_head = 0, k2_row = 0, v_row = 0, v_head = 0;  // strides in elements
  float scale = 1;
  const void* q = nullptr;  // (T, heads, d1 + d2), contiguous
  void* out = nullptr;      // (T, heads, dv), contiguous
  float* lse = nullptr;     // (T, heads) log of the sum of exp(scaled scores), or null
  const AttentionSequence* sequences = nullptr;
  i64 sequence_count = 0;
  DType act = DType::f32;
};
// Keys and values here are rows of the flat batch: key row of position p of a sequence is row_begin + p (first_position
// == 0).
struct AttentionBackward {
  i64 heads = 0, kv_heads = 0;
  i64 d1 = 0, d2 = 0, dv = 0;
  i64 k1_row = 0, k1_head = 0, k2_row = 0, v_row = 0, v_head = 0;
  float scale = 1;
  i64 rows = 0;              // T
  const void* q = nullptr;   // (T, heads, d1 + d2)
  const void* k1 = nullptr;  // row 0, head 0
  const void* k2 = nullptr;
  const void* v = nullptr;
  const void* out = nullptr;             // (T, heads, dv)
  const float* lse = nullptr;            // (T, heads)
  const void* d_out = nullptr;           // (T, heads, dv)
  void* dq = nullptr;                    // (T, heads, d1 + d2)
  void* dk1 = nullptr;                   // strides as k1; sum over the query heads of a kv head in rising order
  void* dk2 = nullptr;                   // strides as k2; sum over all heads in rising order
  void* dv_out = nullptr;                // strides as v
  const i64* sequence_starts = nullptr;  // (sequence_count + 1) rows
  i64 sequence_count = 0;
  DType act = DType::f32;
};

// ---- mixture of experts
// ---------------------------------------------------------------------------------------------------------
enum class GateScore : std::uint8_t { softmax, sigmoid };
enum class GroupScore : std::uint8_t { none, max, top2_sum };
// SPEC §2.1, §2.2. Experts are chosen by (score + bias, then lowest index); groups left out are -inf.
// Weights come from the unbiased scores; sums run over the chosen experts in ascending number.
struct Gate {
  i64 rows = 0, experts = 0, top_k = 0;
  GateScore score = GateScore::sigmoid;
  GroupScore group_score = GroupScore::none;
  i64 groups = 1, top_groups = 1;
  bool normalise = true;          // divide by (sum + 1e-20)
  float scale = 1;                // multiplies the final weights
  const float* logits = nullptr;  // (rows, experts)
  const float* bias = nullptr;    // (experts) or null
  const i32* forced = nullptr;    // (rows, top_k) ascending expert numbers, or null: the choice is then an input
  float* scores = nullptr;        // (rows, experts) unbiased scores
  i32* ids = nullptr;             // (rows, top_k), ascending
  float* weights = nullptr;       // (rows, top_k), in the order of ids
};
// d_logits = gradient through the weights (and nothing through the choice), plus that of the sequence-wise balance
// loss: for row t of balance sequence s: d/d scores of balance_coeff[s] * sum_i f[s][i] * score_ti / sum_j score_tj.
struct GateBackward {
  i64 rows = 0, experts = 0, top_k = 0;
  GateScore score = GateScore::sigmoid;
  bool normalise = true;
  float scale = 1;
  const float* scores = nullptr;     // (rows, experts)
  const i32* ids = nullptr;          // (rows, top_k)
  const float* d_weights = nullptr;  // (rows, top_k)
  const float* balance_f = nullptr;  // (rows of sequences, experts): coeff * f_i / T of the row's sequence, or null
  const i32* balance_sequence = nullptr;  // (rows): which row of balance_f
  float* d_logits = nullptr;              // (rows, experts)
};
// y[r] = x[rows_of[r]] for r in [0, n).
struct GatherRows {
  i64 n = 0, d = 0;
  const void* x = nullptr;       // (anything, d)
  const i32* rows_of = nullptr;  // (n)
  void* y = nullptr;             // (n, d)
  DType act = DType::f32;
};
// dx[t] = sum over the token's slots j (rising) of dy[slot_row[t, j]], f32, one rounding; dx += with accumulate.
struct GatherSum {
  i64 rows = 0, top_k = 0, d = 0;
  const void* y = nullptr;         // (S, d)
  const i32* slot_row = nullptr;   // (rows, top_k): row in the sorted order of the token's j-th slot
  const float* weights = nullptr;  // (rows, top_k) or null for 1: multiplies in f32
  const void* shared = nullptr;    // (rows, d) added last, or null
  void* out = nullptr;             // (rows, d)
  DType act = DType::f32;
};
// Backward of the weighted GatherSum: dy[slot_row[t, j]] = w[t, j] * dout[t]; dw[t, j] = dot(y[slot_row], dout[t]) (16
// partials, tree).
struct CombineBackward {
  i64 rows = 0, top_k = 0, d = 0;
  const void* y = nullptr;
  const i32* slot_row = nullptr;
  const float* weights = nullptr;
  const void* d_out = nullptr;  // (rows, d)
  void* dy = nullptr;           // (S, d)
  float* d_weights = nullptr;   // (rows, top_k)
  DType act = DType::f32;
};

// ---- embedding and losses
// --------------------------------------------------------------------------------------------------------
struct Embedding {
  i64 rows = 0, d = 0;
  const i32* ids = nullptr;     // (rows), within the table (checked by the op)
  const void* table = nullptr;  // (V, d)
  DType table_dtype = DType::f32;
  void* y = nullptr;  // (rows, d)
  DType y_dtype = DType::f32;
};
// d_table[id] += sum over rows with that id, rising row order.
struct EmbeddingBackward {
  i64 rows = 0, d = 0;
  const i32* order = nullptr;  // (rows): row numbers sorted by (id, row)
  const i32* ids = nullptr;    // (rows)
  const void* dy = nullptr;    // (rows, d)
  DType dy_dtype = DType::f32;
  float* d_table = nullptr;  // (V, d)
};
// Row-wise log-softmax at the targets: nll = log(sum exp(z - max)) + max - z[target]; 16 partial sums, tree.
// With d_logits: coefficient[r] * (softmax - onehot), which may overwrite logits when d_dtype is f32.
// target -1: nll 0 and gradient 0.
struct CrossEntropy {
  i64 rows = 0, vocab = 0;
  const float* logits = nullptr;       // (rows, vocab)
  const i32* targets = nullptr;        // (rows)
  float* nll = nullptr;                // (rows)
  const float* coefficient = nullptr;  // (rows), needed with d_logits
  void* d_logits = nullptr;            // (rows, vocab) or null
  DType d_dtype = DType::f32;
};

// ---- optimizer
// -------------------------------------------------------------------------------------------------------------------
// One pass: g = grad * grad_scale; m, v updated; p *= 1 - lr * decay; p -= lr * mhat / (sqrt(vhat) + eps); compute copy
// written if not null. bf16 moments are rounded (to nearest even) where they are stored; the step takes them before.
struct AdamW {
  i64 n = 0;
  float* p = nullptr;
  const float* grad = nullptr;
  void* m = nullptr;  // (n) of dtype `moments`
  void* v = nullptr;
  DType moments = DType::f32;  // or bf16
  bf16* compute = nullptr;     // bf16 copy of p, or null
  float grad_scale = 1, lr = 0, beta1 = 0.9f, beta2 = 0.95f, eps = 1e-8f, decay = 0;
  float bias1 = 1, bias2 = 1;  // 1 - beta^t
};
// Sum of squares in double: blocks of 4096 elements, each 16 partials and a tree in f32... added in rising order in
// double.
struct SumSquares {
  i64 n = 0;
  const float* x = nullptr;
  double* result = nullptr;
};
// average = decay average + (1 - decay) x
struct Ema {
  i64 n = 0;
  const float* x = nullptr;
  float* average = nullptr;
  float decay = 0;
};

struct Table {
  void (*matmul)(const Context&, const Matmul&);
  void (*matmuls)(const Context&, const Matmuls&);
  void (*grouped_matmul)(const Context&, const GroupedMatmul&);
  void (*grouped_weight_grad)(const Context&, const GroupedWeightGrad&);
  void (*rms_norm)(const Context&, const RmsNorm&);
  void (*rms_norm_backward)(const Context&, const RmsNormBackward&);
  void (*rope)(const Context&, const Rope&);
  void (*swiglu)(const Context&, const Swiglu&);
  void (*swiglu_backward)(const Context&, const SwigluBackward&);
  void (*cast)(const Context&, const Cast&);
  void (*add)(const Context&, const Add&);
  void (*copy_block)(const Context&, const CopyBlock&);
  void (*attention)(const Context&, const Attention&);
  void (*attention_backward)(const Context&, const AttentionBackward&);
  void (*gate)(const Context&, const Gate&);
  void (*gate_backward)(const Context&, const GateBackward&);
  void (*gather_rows)(const Context&, const GatherRows&);
  void (*gather_sum)(const Context&, const GatherSum&);
  void (*combine_backward)(const Context&, const CombineBackward&);
  void (*embedding)(const Context&, const Embedding&);
  void (*embedding_backward)(const Context&, const EmbeddingBackward&);
  void (*cross_entropy)(const Context&, const CrossEntropy&);
  void (*adamw)(const Context&, const AdamW&);
  void (*sum_squares)(const Context&, const SumSquares&);
  void (*ema)(const Context&, const Ema&);
  void (*fp8_rows)(const Context&, const Fp8Rows&);
  void (*fp8_columns)(const Context&, const Fp8Columns&);
  void (*fp8_blocks)(const Context&, const Fp8Blocks&);
  void (*fp8_unpack)(const Context&, const Fp8Unpack&);
  void (*fp8_matmul)(const Context&, const Fp8Matmul&);
  void (*fp8_weight_grad)(const Context&, const Fp8WeightGrad&);
  void (*round_e5m6)(const Context&, const RoundE5m6&);
};

// Calls the context's kernel for the params struct: kernels::run(cx, Matmul{...}). The call is noted in the context's
// profile if it has one.
#define HADAL_RUN_DECLARATION(name, Params) void run(const Context& cx, const Params& p);
HADAL_KERNELS(HADAL_RUN_DECLARATION)
#undef HADAL_RUN_DECLARATION

}  // namespace hadal::kernels
