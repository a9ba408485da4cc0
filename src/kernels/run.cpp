// The one way to a kernel: through the context's table, timed if the context has a profile.
#include "kernels/declare.h"
#include "kernels/flush.h"
#include "kernels/kernels.h"
#include "kernels/profile.h"

namespace hadal::kernels {

namespace {

using Clock = std::chrono::steady_clock;

struct Cost {
  std::string_view name;
  double flops = 0;
};

double product(i64 a, i64 b, i64 c) {
  return 2 * static_cast<double>(a) * static_cast<double>(b) * static_cast<double>(c);
}

// Multiplications of a causal sequence's scores and values: half the square.
double pairs(i64 first, i64 rows) {
  return static_cast<double>(rows) * (static_cast<double>(first) + static_cast<double>(rows) / 2);
}

// What a kernel that multiplies no matrices goes over.
template <class P>
double elements(const P& p) {
  const auto times = [](auto... n) { return (static_cast<double>(n) * ...); };
  if constexpr (requires { p.rows, p.top_k, p.d; }) return times(p.rows, p.top_k, p.d);
  if constexpr (requires { p.rows, p.vocab; }) return times(p.rows, p.vocab);
  if constexpr (requires { p.rows, p.experts; }) return times(p.rows, p.experts);
  if constexpr (requires { p.rows, p.cols; }) return times(p.rows, p.cols);
  if constexpr (requires { p.rows, p.heads, p.rot; }) return times(p.rows, p.heads, p.rot);
  if constexpr (requires { p.rows, p.d; }) return times(p.rows, p.d);
  if constexpr (requires { p.n, p.d; }) return times(p.n, p.d);
  if constexpr (requires { p.n; }) return times(p.n);
  return 1;
}

template <class P>
Cost cost(std::string_view name, const P&) {
  return {name};
}
Cost cost(std::string_view, const Matmul& p) {
  return {p.a_transposed   ? "matmul, weight gradient"
          : p.b_transposed ? "matmul"
                           : "matmul, input gradient",
          product(p.m, p.n, p.k)};
}
Cost cost(std::string_view name, const Matmuls& p) {
  double all = 0;
  for (i64 i = 0; i < p.count; ++i) all += product(p.list[i].m, p.list[i].n, p.list[i].k);
  return {name, all};
}
Cost cost(std::string_view, const GroupedMatmul& p) {
  return {p.b_transposed ? "grouped matmul" : "grouped matmul, input gradient", product(p.offsets[p.groups], p.n, p.k)};
}
Cost cost(std::string_view, const GroupedWeightGrad& p) {
  return {"grouped matmul, weight gradient", product(p.offsets[p.groups], p.n, p.k)};
}
Cost cost(std::string_view name, const Fp8Matmul& p) { return {name, product(p.offsets[p.groups], p.n, p.k)}; }
Cost cost(std::string_view name, const Fp8WeightGrad& p) { return {name, product(p.offsets[p.groups], p.n, p.k)}; }
Cost cost(std::string_view name, const Attention& p) {
  double all = 0;
  for (i64 s = 0; s < p.sequence_count; ++s) {
    const AttentionSequence& q = p.sequences[s];
    all += pairs(q.first_position, q.row_end - q.row_begin);
  }
  return {name, 2 * all * static_cast<double>(p.heads * (p.d1 + p.d2 + p.dv))};
}
Cost cost(std::string_view name, const AttentionBackward& p) {
  double all = 0;
  for (i64 s = 0; s < p.sequence_count; ++s) all += pairs(0, p.sequence_starts[s + 1] - p.sequence_starts[s]);
  return {name, 4 * all * static_cast<double>(p.heads * (p.d1 + p.d2 + p.dv))};
}

template <class P>
void call(const Context& cx, const P& p, std::string_view name, void (*kernel)(const Context&, const P&)) {
  const FloatMode mode(kDefaultMode);  // whatever a host has set
  if (cx.profile() == nullptr) {
    kernel(cx, p);
    return;
  }
  const Clock::time_point start = Clock::now();
  kernel(cx, p);
  const Cost c = cost(name, p);
  cx.profile()->add(c.name, std::chrono::duration<double>(Clock::now() - start).count(), c.flops,
                    c.flops > 0 ? c.flops : elements(p));
}

}  // namespace

#define HADAL_RUN(name, Params) \
  void run(const Context& cx, const Params& p) { call(cx, p, #name, cx.table().name); }
HADAL_KERNELS(HADAL_RUN)
#undef HADAL_RUN

}  // namespace hadal::kernels
