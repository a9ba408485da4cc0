#include "model/serve.h"

#include "kernels/packed.h"

namespace hadal::model {

namespace {

// What only products read, all of it. Absorbed MLA takes kv_b_proj apart by heads.
bool is_packed(const nn::Parameter& p) {
  if (p.kind == nn::ParameterKind::matrix) return !p.name.ends_with("kv_b_proj.weight");
  return p.kind == nn::ParameterKind::router || p.name == "lm_head.weight";
}

}  // namespace

void pack_for_serving(const kernels::Context& cx, CausalLm& model) {
  model.visit([&](const nn::Parameter& p) {
    Tensor& w = *p.value;
    if (!is_packed(p) || w.packed()) return;
    const std::int64_t stack = w.rank() == 3 ? w.size(0) : 1, n = w.size(-2), k = w.size(-1);
    Tensor packed = Tensor::empty_packed(w.shape(), stack * kernels::packed_elements(n, k, w.dtype()), w.dtype());
    kernels::pack_weight(cx.pool(), stack, n, k, w.dtype(), w.raw(), packed.raw());
    w = packed;
  });
}

}  // namespace hadal::model
