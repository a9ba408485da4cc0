#include "kernels/ref/attention.h"

#include "base/error.h"
#include "kernels/declare.h"

namespace hadal::kernels::ref {

void attention(const Context& cx, const Attention& p) {
  HADAL_ASSERT(p.act == DType::f32 || p.act == DType::bf16);
  if (p.act == DType::f32) {
    attention_forward<float, float>(cx.pool(), p, p.lse);
  } else {
    attention_forward<float, bf16>(cx.pool(), p, p.lse);
  }
}

void attention_backward(const Context& cx, const AttentionBackward& p) {
  HADAL_ASSERT(p.act == DType::f32 || p.act == DType::bf16);
  if (p.act == DType::f32) {
    attention_backward<float, float>(cx.pool(), p, p.lse);
  } else {
    attention_backward<float, bf16>(cx.pool(), p, p.lse);
  }
}

}  // namespace hadal::kernels::ref
