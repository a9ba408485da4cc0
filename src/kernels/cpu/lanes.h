// Loops over rows of any length in steps of sixteen lanes, kernels per dtype, and blocks of work for the pool.
// The last step of a row runs the same arithmetic on its first n lanes only.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/error.h"
#include "kernels/context.h"
#include "kernels/cpu/vec.h"
#include "tensor/dtype.h"

namespace hadal::kernels::HADAL_ISA_NS {

// How many lanes of a step count: all, or the first n (1..15).
struct Whole {};
struct First {
  int n;
};

template <class T>
inline F32x16 load(const T* p, Whole) {
  return load(p);
}
template <class T>
inline F32x16 load(const T* p, First lanes) {
  return load_n(p, lanes.n);
}
template <class T>
inline void store(T* p, F32x16 v, Whole) {
  store(p, v);
}
template <class T>
inline void store(T* p, F32x16 v, First lanes) {
  store_n(p, v, lanes.n);
}
// v with the lanes that do not count set to `rest`.
inline F32x16 fill(F32x16 v, float, Whole) { return v; }
inline F32x16 fill(F32x16 v, float rest, First lanes) {
  alignas(64) float t[kLanes];
  store(t, set1(rest));
  store_n(t, v, lanes.n);
  return load(t);
}

inline F32x16 negative(F32x16 x) { return set1(-1.0f) * x; }  // 0 - x would lose the sign of zero
inline F32x16 sigmoid(F32x16 x) { return set1(1.0f) / (set1(1.0f) + exp(negative(x))); }

// body(i, lanes) for i = 0, 16, 32, ... < n.
template <class F>
inline void for_lanes(std::int64_t n, F&& body) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, Whole{});
  if (i < n) body(i, First{static_cast<int>(n - i)});
}

// body(T()) with T the type of activations or statistics.
template <class F>
inline void with_type(DType dtype, F&& body) {
  HADAL_ASSERT(dtype == DType::f32 || dtype == DType::bf16);
  dtype == DType::bf16 ? body(bf16()) : body(float());
}

// One parallel region over n items of `width` elements each: body(begin, end, worker), about 16K elements a task.
template <class F>
inline void run_blocks(const Context& cx, std::int64_t n, std::int64_t width, F&& body) {
  const std::int64_t block = std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, width));
  cx.pool().run((n + block - 1) / block,
                [&](std::int64_t task, int worker) { body(task * block, std::min(n, (task + 1) * block), worker); });
}

}  // namespace hadal::kernels::HADAL_ISA_NS
