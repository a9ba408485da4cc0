// Work over rows and over flat arrays: blocks of it are tasks; a row is never split.
#pragma once

#include <algorithm>

#include "kernels/cpu/vec.h"
#include "kernels/kernels.h"

namespace hadal::kernels::HADAL_ISA_NS {

// f(first, last) over [0, n) in blocks of `size`.
template <class F>
void over_blocks(const Context& cx, i64 n, i64 size, F&& f) {
  cx.pool().run((n + size - 1) / size, [&](i64 block, int) { f(block * size, std::min(n, (block + 1) * size)); });
}

// Rows in blocks of about 32 KiB of work each.
template <class F>
void over_rows(const Context& cx, i64 rows, i64 d, F&& f) {
  over_blocks(cx, rows, std::max<i64>(1, 16384 / std::max<i64>(d, 1)), [&](i64 first, i64 last) {
    for (i64 r = first; r < last; ++r) f(r);
  });
}

// f(c, count) for columns in vectors of sixteen; count < 16 only at the end.
template <class F>
inline void over_columns(i64 d, F&& f) {
  i64 c = 0;
  for (; c + kLanes <= d; c += kLanes) f(c, kLanes);
  if (c < d) f(c, static_cast<int>(d - c));
}

template <class T>
inline F32x16 get(const T* p, int n) {
  return n == kLanes ? load(p) : load_n(p, n);
}
template <class T>
inline void put(T* p, F32x16 v, int n) {
  if (n == kLanes) {
    store(p, v);
  } else {
    store_n(p, v, n);
  }
}

// Calls f with a null pointer of the type that `dtype` names: f(static_cast<float*>(nullptr)) or bf16.
template <class F>
void with_type(DType dtype, F&& f) {
  if (dtype == DType::bf16) {
    f(static_cast<bf16*>(nullptr));
  } else {
    f(static_cast<float*>(nullptr));
  }
}

inline F32x16 sigmoid(F32x16 x) { return set1(1.0f) / (set1(1.0f) + exp(zero() - x)); }

}  // namespace hadal::kernels::HADAL_ISA_NS
