// What every kernel is held to: the bits of ref/ on every ISA with any number of threads, a row's result whatever the
// other rows are, and gradients equal to central differences of the definition in double.
#pragma once

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "buffers.h"
#include "kernels/kernels.h"

namespace hadal::test {

using kernels::Context;
using kernels::i32;
using kernels::i64;

inline const std::vector<DType> kActs = {DType::f32, DType::bf16};
// 1, primes, and what lies around one and two vectors of sixteen.
inline const std::vector<i64> kWidths = {1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 61, 257};

inline std::vector<kernels::Isa> machine_isas() {
  std::vector<kernels::Isa> all;
  for (const auto isa : {kernels::Isa::ref, kernels::Isa::avx2, kernels::Isa::avx512, kernels::Isa::avx512bf16}) {
    if (kernels::supported(isa)) all.push_back(isa);
  }
  return all;
}

using Outputs = std::vector<Buffer>;
// Runs rows [first, first + rows) of a problem and returns the outputs, each with the same number of elements a row.
using RowKernel = std::function<Outputs(const Context&, i64 first, i64 rows)>;

inline void expect_same(const Outputs& got, const Outputs& expected, const std::string& where) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_TRUE(got[i].intact()) << where << ": output " << i << " was written outside";
    EXPECT_TRUE(got[i].same_bits(expected[i])) << where << ": output " << i << " differs";
  }
}

// Every ISA and number of threads gives ref's bits on one thread. Returns these.
inline Outputs expect_equal_everywhere(const std::string& what, const std::function<Outputs(const Context&)>& kernel) {
  ThreadPool one(1);
  const Outputs expected = kernel(Context(one, kernels::Isa::ref));
  for (const Buffer& b : expected) EXPECT_TRUE(b.intact()) << what << " ref";
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    for (const kernels::Isa isa : machine_isas()) {
      expect_same(kernel(Context(pool, isa)), expected, fmt::format("{} {} {} threads", what, name_of(isa), threads));
    }
  }
  return expected;
}

// As above for all rows at once; and rows alone equal the same rows among the others.
inline Outputs expect_rows_equal(const std::string& what, i64 rows, const RowKernel& kernel) {
  const Outputs all = expect_equal_everywhere(what, [&](const Context& cx) { return kernel(cx, 0, rows); });
  ThreadPool pool(1);
  for (const kernels::Isa isa : machine_isas()) {
    for (const i64 r : {i64{0}, rows / 2, rows - 1}) {
      if (r < 0) continue;
      Outputs mine;
      for (const Buffer& b : all) mine.push_back(b.slice(r * (b.size() / rows), b.size() / rows));
      expect_same(kernel(Context(pool, isa), r, 1), mine, fmt::format("{} {} row {} alone", what, name_of(isa), r));
    }
  }
  return all;
}

using Doubles = std::vector<double>;
using Function = std::function<double(const Doubles&)>;

// |gradient - four-point central differences| over |differences|.
inline double gradient_error(const Function& f, const Doubles& x, const Doubles& gradient) {
  constexpr double h = 1e-3;
  double error = 0, norm = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto at = [&](double step) {
      Doubles moved = x;
      moved[i] += step;
      return f(moved);
    };
    const double d = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
    error += (gradient[i] - d) * (gradient[i] - d);
    norm += d * d;
  }
  return std::sqrt(error / norm);
}

// Differences carry about h^4 of truncation and eps / h of rounding, both near 1e-12 times the derivatives' size.
inline void expect_gradient(const Function& f, const Doubles& x, const Doubles& gradient) {
  constexpr double kBound = 1e-8;
  EXPECT_LT(gradient_error(f, x, gradient), kBound);
  Doubles planted = gradient;
  for (double& g : planted) g *= 1.001;
  EXPECT_GT(gradient_error(f, x, planted), kBound) << "a gradient times 1.001 must fail";
}

inline Doubles random_doubles(i64 n, std::uint64_t seed, double scale = 1, double mean = 0) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal(mean, scale);
  Doubles v(static_cast<std::size_t>(n));
  for (double& x : v) x = normal(engine);
  return v;
}

inline double dot(const Doubles& a, const Doubles& b) {
  double s = 0;
  for (std::size_t i = 0; i < a.size(); ++i) s += a[i] * b[i];
  return s;
}

}  // namespace hadal::test
