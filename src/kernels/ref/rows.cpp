// Reference kernels that move rows: dispatch to experts and back, embedding.
#include <cstring>

#include "kernels/ref/scalar.h"

namespace hadal::kernels::ref {

void gather_rows(const Context&, const GatherRows& p) {
  const auto bytes = static_cast<std::size_t>(p.d) * size_of(p.act);
  for (i64 r = 0; r < p.n; ++r) {
    std::memcpy(static_cast<char*>(p.y) + static_cast<std::size_t>(r) * bytes,
                static_cast<const char*>(p.x) + static_cast<std::size_t>(p.rows_of[r]) * bytes, bytes);
  }
}

void gather_sum(const Context&, const GatherSum& p) {
  for (i64 t = 0; t < p.rows; ++t) {
    for (i64 c = 0; c < p.d; ++c) {
      float sum = 0;
      for (i64 j = 0; j < p.top_k; ++j) {
        const float y = get(p.y, static_cast<i64>(p.slot_row[t * p.top_k + j]) * p.d + c, p.act);
        sum = std::fma(p.weights != nullptr ? p.weights[t * p.top_k + j] : 1.0f, y, sum);
      }
      if (p.shared != nullptr) sum += get(p.shared, t * p.d + c, p.act);
      put(p.out, t * p.d + c, p.act, sum);
    }
  }
}

void combine_backward(const Context&, const CombineBackward& p) {
  for (i64 t = 0; t < p.rows; ++t) {
    for (i64 j = 0; j < p.top_k; ++j) {
      const i64 row = p.slot_row[t * p.top_k + j];
      Sum16 inner;
      for (i64 c = 0; c < p.d; ++c) {
        const float d_out = get(p.d_out, t * p.d + c, p.act);
        inner.add_product(c, get(p.y, row * p.d + c, p.act), d_out);
        put(p.dy, row * p.d + c, p.act, p.weights[t * p.top_k + j] * d_out);
      }
      p.d_weights[t * p.top_k + j] = inner.total();
    }
  }
}

void embedding(const Context&, const Embedding& p) {
  for (i64 r = 0; r < p.rows; ++r) {
    for (i64 c = 0; c < p.d; ++c) put(p.y, r * p.d + c, p.y_dtype, get(p.table, static_cast<i64>(p.ids[r]) * p.d + c, p.table_dtype));
  }
}

void embedding_backward(const Context&, const EmbeddingBackward& p) {
  for (i64 i = 0; i < p.rows; ++i) {
    const i64 r = p.order[i];
    for (i64 c = 0; c < p.d; ++c) p.d_table[static_cast<i64>(p.ids[r]) * p.d + c] += get(p.dy, r * p.d + c, p.dy_dtype);
  }
}

}  // namespace hadal::kernels::ref
