// Rows moved and summed: dispatch to experts and back, embedding; ref/rows.h is the definition.
#include <cstring>

#include "kernels/cpu/lanes.h"
#include "kernels/declare.h"
#include "kernels/kernels.h"

namespace hadal::kernels::HADAL_ISA_NS {

HADAL_KERNELS(HADAL_DECLARE)

namespace {

template <class T>
void gather_sum_row(const GatherSum& p, i64 t) {
  const T* y = static_cast<const T*>(p.y);
  const T* shared = static_cast<const T*>(p.shared);
  T* out = static_cast<T*>(p.out) + t * p.d;
  const i32* slot_row = p.slot_row + t * p.top_k;
  const float* w = p.weights != nullptr ? p.weights + t * p.top_k : nullptr;
  for_lanes(p.d, [&](i64 c, auto lanes) {
    F32x16 total = zero();
    for (i64 j = 0; j < p.top_k; ++j) {
      total = fma(set1(w != nullptr ? w[j] : 1.0f), load(y + slot_row[j] * p.d + c, lanes), total);
    }
    if (shared != nullptr) total = total + load(shared + t * p.d + c, lanes);
    store(out + c, total, lanes);
  });
}

template <class T>
float combine_backward_slot(i64 d, const T* y, float w, const T* d_out, T* dy) {
  F32x16 inner = zero();
  for_lanes(d, [&](i64 c, auto lanes) {
    const F32x16 g = load(d_out + c, lanes);
    inner = fma(load(y + c, lanes), g, inner);
    store(dy + c, set1(w) * g, lanes);
  });
  return sum(inner);
}

}  // namespace

void gather_rows(const Context& cx, const GatherRows& p) {
  const auto bytes = static_cast<i64>(size_of(p.act)) * p.d;
  if (bytes == 0) return;
  run_blocks(cx, p.n, p.d, [&](i64 begin, i64 end, int) {
    for (i64 r = begin; r < end; ++r) {
      std::memcpy(static_cast<char*>(p.y) + r * bytes, static_cast<const char*>(p.x) + p.rows_of[r] * bytes,
                  static_cast<std::size_t>(bytes));
    }
  });
}

void gather_sum(const Context& cx, const GatherSum& p) {
  with_type(p.act, [&](auto type) {
    run_blocks(cx, p.rows, p.d * (p.top_k + 1), [&](i64 begin, i64 end, int) {
      for (i64 t = begin; t < end; ++t) gather_sum_row<decltype(type)>(p, t);
    });
  });
}

void combine_backward(const Context& cx, const CombineBackward& p) {
  with_type(p.act, [&](auto type) {
    using T = decltype(type);
    run_blocks(cx, p.rows, p.d * p.top_k * 2, [&](i64 begin, i64 end, int) {
      for (i64 slot = begin * p.top_k; slot < end * p.top_k; ++slot) {
        const i64 at = p.slot_row[slot] * p.d;
        p.d_weights[slot] =
            combine_backward_slot(p.d, static_cast<const T*>(p.y) + at, p.weights[slot],
                                  static_cast<const T*>(p.d_out) + slot / p.top_k * p.d, static_cast<T*>(p.dy) + at);
      }
    });
  });
}

void embedding(const Context& cx, const Embedding& p) {
  with_type(p.table_dtype, [&](auto table_type) {
    with_type(p.y_dtype, [&](auto y_type) {
      const auto* table = static_cast<const decltype(table_type)*>(p.table);
      auto* y = static_cast<decltype(y_type)*>(p.y);
      run_blocks(cx, p.rows, p.d, [&](i64 begin, i64 end, int) {
        for (i64 r = begin; r < end; ++r) {
          const auto* row = table + p.ids[r] * p.d;
          for_lanes(p.d, [&](i64 c, auto lanes) { store(y + r * p.d + c, load(row + c, lanes), lanes); });
        }
      });
    });
  });
}

// A task adds the ids whose runs in `order` start among its 64 places, over 512 columns: no two tasks share an element,
// and a very frequent id is shared by as many threads as there are blocks of columns.
void embedding_backward(const Context& cx, const EmbeddingBackward& p) {
  constexpr i64 kPlaces = 64, kColumns = 512;
  const i64 column_blocks = (p.d + kColumns - 1) / kColumns;
  const auto id_at = [&](i64 place) { return p.ids[p.order[place]]; };
  with_type(p.dy_dtype, [&](auto type) {
    const auto* dy = static_cast<const decltype(type)*>(p.dy);
    cx.pool().run((p.rows + kPlaces - 1) / kPlaces * column_blocks, [&](i64 task, int) {
      const i64 column = task % column_blocks * kColumns, columns = std::min(kColumns, p.d - column);
      const i64 end = std::min(p.rows, (task / column_blocks + 1) * kPlaces);
      i64 i = task / column_blocks * kPlaces;
      while (i > 0 && i < end && id_at(i) == id_at(i - 1)) ++i;
      for (bool more = i < end; more; more = ++i < p.rows && (i < end || id_at(i) == id_at(i - 1))) {
        float* total = p.d_table + id_at(i) * p.d + column;
        const auto* row = dy + p.order[i] * p.d + column;
        for_lanes(columns,
                  [&](i64 c, auto lanes) { store(total + c, load(total + c, lanes) + load(row + c, lanes), lanes); });
      }
    });
  });
}

}  // namespace hadal::kernels::HADAL_ISA_NS
