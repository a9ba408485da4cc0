// Reference kernels that move rows: dispatch to experts and back, embedding.
#include "kernels/ref/rows.h"

#include <cstring>

namespace hadal::kernels::ref {

void gather_rows(const Context&, const GatherRows& p) {
  const auto bytes = static_cast<std::size_t>(p.d) * size_of(p.act);
  for (i64 r = 0; r < p.n; ++r) {
    std::memcpy(static_cast<char*>(p.y) + static_cast<std::size_t>(r) * bytes,
                static_cast<const char*>(p.x) + static_cast<std::size_t>(p.rows_of[r]) * bytes, bytes);
  }
}

void gather_sum(const Context&, const GatherSum& p) {
  std::vector<float> out(static_cast<std::size_t>(p.d));
  for (i64 t = 0; t < p.rows; ++t) {
    std::vector<std::vector<float>> y;
    for (i64 j = 0; j < p.top_k; ++j) y.push_back(read_row(p.y, p.slot_row[t * p.top_k + j] * p.d, p.d, p.act));
    std::vector<float> shared;
    if (p.shared != nullptr) shared = read_row(p.shared, t * p.d, p.d, p.act);
    gather_sum_row(p.d, y, p.weights != nullptr ? p.weights + t * p.top_k : nullptr,
                   p.shared != nullptr ? shared.data() : nullptr, out.data());
    write_row(p.out, t * p.d, out, p.act);
  }
}

void combine_backward(const Context&, const CombineBackward& p) {
  std::vector<float> dy(static_cast<std::size_t>(p.d));
  for (i64 t = 0; t < p.rows; ++t) {
    const std::vector<float> d_out = read_row(p.d_out, t * p.d, p.d, p.act);
    for (i64 slot = t * p.top_k; slot < (t + 1) * p.top_k; ++slot) {
      const i64 at = p.slot_row[slot] * p.d;
      const std::vector<float> y = read_row(p.y, at, p.d, p.act);
      p.d_weights[slot] = combine_backward_row(p.d, y.data(), p.weights[slot], d_out.data(), dy.data());
      write_row(p.dy, at, dy, p.act);
    }
  }
}

void embedding(const Context&, const Embedding& p) {
  for (i64 r = 0; r < p.rows; ++r) {
    write_row(p.y, r * p.d, read_row(p.table, p.ids[r] * p.d, p.d, p.table_dtype), p.y_dtype);
  }
}

void embedding_backward(const Context&, const EmbeddingBackward& p) {
  for (i64 i = 0; i < p.rows; ++i) {
    const i64 r = p.order[i];
    for (i64 c = 0; c < p.d; ++c) p.d_table[p.ids[r] * p.d + c] += get(p.dy, r * p.d + c, p.dy_dtype);
  }
}

}  // namespace hadal::kernels::ref
