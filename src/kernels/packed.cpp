#include "kernels/packed.h"

#include <algorithm>

#include "base/error.h"

namespace hadal::kernels {

namespace {

using i64 = std::int64_t;

// The panel that begins at row `first`. Word w of a row is kSpan elements.
template <class T, i64 kSpan>
void pack_panel(i64 n, i64 k, i64 first, const T* w, T* to) {
  const i64 words = (k + kSpan - 1) / kSpan, rows = std::min(kPackedRows, n - first), width = (rows + 15) / 16 * 16;
  T* panel = to + first * words * kSpan;
  for (i64 word = 0; word < words; ++word) {
    for (i64 r = 0; r < width; ++r) {
      for (i64 i = 0; i < kSpan; ++i) {
        const i64 column = word * kSpan + i;
        panel[(word * width + r) * kSpan + i] = r < rows && column < k ? w[(first + r) * k + column] : T{};
      }
    }
  }
}

template <class T, i64 kSpan>
void pack(ThreadPool& pool, i64 stack, i64 n, i64 k, const T* w, T* to) {
  const i64 panels = (n + kPackedRows - 1) / kPackedRows, size = packed_elements(n, k, dtype_of<T>::value);
  pool.run(stack * panels, [&](i64 task, int) {
    const i64 e = task / panels;
    pack_panel<T, kSpan>(n, k, task % panels * kPackedRows, w + e * n * k, to + e * size);
  });
}

}  // namespace

void pack_weight(ThreadPool& pool, i64 stack, i64 n, i64 k, DType dtype, const void* w, void* to) {
  HADAL_ASSERT(dtype == DType::f32 || dtype == DType::bf16);
  if (dtype == DType::bf16) {
    pack<bf16, 2>(pool, stack, n, k, static_cast<const bf16*>(w), static_cast<bf16*>(to));
  } else {
    pack<float, 1>(pool, stack, n, k, static_cast<const float*>(w), static_cast<float*>(to));
  }
}

}  // namespace hadal::kernels
