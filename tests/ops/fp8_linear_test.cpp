// Linears of fp8 training against products in double of operands that are quantised here, one number at a time:
// forward, input gradient, weight gradient. Each comparison also refuses what a simpler way would give.
#include "ops/fp8_linear.h"

#include <gtest/gtest.h>

#include <functional>

#include "kernels/fp8_numbers.h"
#include "op_table.h"
#include "ops/dispatch.h"
#include "ops/swiglu.h"

namespace hadal::test {
namespace {

using Offsets = std::vector<std::int64_t>;

struct Matrix {
  std::int64_t rows, columns;
  std::vector<double> of = std::vector<double>(static_cast<std::size_t>(rows * columns));
  double& at(std::int64_t r, std::int64_t c) { return of[static_cast<std::size_t>(r * columns + c)]; }
  double at(std::int64_t r, std::int64_t c) const { return of[static_cast<std::size_t>(r * columns + c)]; }
};

Matrix matrix_of(const Tensor& t) {
  Matrix m{t.numel() / t.size(-1), t.size(-1)};
  for (std::size_t i = 0; i < m.of.size(); ++i) {
    m.of[i] = t.dtype() == DType::bf16 ? static_cast<float>(t.data<bf16>()[i]) : t.data<float>()[i];
  }
  return m;
}

// x in E4M3 and back: tiles of `down` x `across`, counted from the start of each part of the rows.
Matrix dequantised(const Matrix& x, const Offsets& parts, std::int64_t down, std::int64_t across, bool power = false) {
  Matrix y = x;
  for (std::size_t p = 0; p + 1 < parts.size(); ++p) {
    for (std::int64_t r0 = parts[p]; r0 < parts[p + 1]; r0 += down) {
      for (std::int64_t c0 = 0; c0 < x.columns; c0 += across) {
        const std::int64_t r1 = std::min(parts[p + 1], r0 + down), c1 = std::min(x.columns, c0 + across);
        double amax = 0;
        for (std::int64_t r = r0; r < r1; ++r) {
          for (std::int64_t c = c0; c < c1; ++c) amax = std::max(amax, std::abs(x.at(r, c)));
        }
        const float s = expected_scale(amax, 448, power);
        for (std::int64_t r = r0; r < r1; ++r) {
          for (std::int64_t c = c0; c < c1; ++c) {
            const double q = nearest(e4m3_sizes(), static_cast<float>(x.at(r, c)) / s);
            y.at(r, c) = static_cast<float>(q) * s;
          }
        }
      }
    }
  }
  return y;
}
Matrix in_rows(const Matrix& x, bool power = false) { return dequantised(x, {0, x.rows}, 1, 128, power); }
Matrix in_columns(const Matrix& x, const Offsets& parts, bool power = false) {
  return dequantised(x, parts, 128, 1, power);
}
// Weights of all groups, one under the other.
Matrix in_blocks(const Matrix& w, std::int64_t groups) {
  Offsets parts;
  for (std::int64_t g = 0; g <= groups; ++g) parts.push_back(g * w.rows / groups);
  return dequantised(w, parts, 128, 128);
}

// What a test expects: sums, and the sums of their terms' sizes.
struct Sums {
  Matrix sum, sizes;
  Sums(std::int64_t rows, std::int64_t columns) : sum{rows, columns}, sizes{rows, columns} {}
  void add(std::int64_t r, std::int64_t c, double v) {
    sum.at(r, c) += v;
    sizes.at(r, c) += std::abs(v);
  }
};

// Rows of group g times Wᵀ, or times W.
Sums product(const Matrix& x, const Matrix& w, const Offsets& parts, bool transposed) {
  const std::int64_t height = w.rows / static_cast<std::int64_t>(parts.size() - 1);
  Sums y(x.rows, transposed ? height : w.columns);
  for (std::size_t g = 0; g + 1 < parts.size(); ++g) {
    const auto first = static_cast<std::int64_t>(g) * height;
    for (std::int64_t r = parts[g]; r < parts[g + 1]; ++r) {
      for (std::int64_t n = 0; n < height; ++n) {
        for (std::int64_t k = 0; k < w.columns; ++k) {
          transposed ? y.add(r, n, x.at(r, k) * w.at(first + n, k)) : y.add(r, k, x.at(r, n) * w.at(first + n, k));
        }
      }
    }
  }
  return y;
}

Sums weight_gradient(const Matrix& dy, const Matrix& x, const Offsets& parts) {
  const auto groups = static_cast<std::int64_t>(parts.size() - 1);
  Sums dw(groups * dy.columns, x.columns);
  for (std::size_t g = 0; g + 1 < parts.size(); ++g) {
    for (std::int64_t r = parts[g]; r < parts[g + 1]; ++r) {
      for (std::int64_t n = 0; n < dy.columns; ++n) {
        for (std::int64_t k = 0; k < x.columns; ++k) {
          dw.add(static_cast<std::int64_t>(g) * dy.columns + n, k, dy.at(r, n) * x.at(r, k));
        }
      }
    }
  }
  return dw;
}

// Whether every element is as near as the roundings of f32 allow: one for each of 128 terms and two for each promotion
// (fewer than 150 here), and the store's.
bool near(const Tensor& got, const Sums& expected) {
  const Matrix m = matrix_of(got);
  EXPECT_EQ(m.of.size(), expected.sum.of.size());
  const double store = got.dtype() == DType::bf16 ? 0x1p-8 : 0x1p-24;
  bool all = true;
  for (std::size_t i = 0; i < m.of.size(); ++i) {
    const double bound = 150 * 0x1p-24 * expected.sizes.of[i] + store * std::abs(expected.sum.of[i]);
    all = all && std::abs(m.of[i] - expected.sum.of[i]) <= bound;
  }
  return all;
}

struct Outcome {
  Tensor y;
  std::vector<Tensor> gradients;  // of the inputs, then of w
};

// Forward and backward of f(inputs, w) with dy.
Outcome evaluate(std::vector<Tensor> inputs, Tensor w, const Tensor& dy,
                 const std::function<Tensor(const kernels::Context&, const std::vector<Tensor>&, const Tensor&)>& f) {
  ThreadPool pool(2);
  const kernels::Context cx(pool, kernels::default_isa());
  autograd::Tape tape(cx);
  for (Tensor& x : inputs) tape.input(x);
  const Tensor dw = Tensor::zeros(w.shape(), DType::f32);
  tape.watch(w, dw);
  Outcome o;
  o.y = f(cx, inputs, w);
  tape.backward({o.y}, {dy});
  for (const Tensor& x : inputs) o.gradients.push_back(x.node()->grad);
  o.gradients.push_back(w.node()->grad);
  o.y.set_node(nullptr);
  return o;
}

// Values of very different sizes, so that every tile has its own scale.
Tensor values(Shape shape, DType dtype, Random& random) {
  Tensor t = random_tensor(shape, dtype, random);
  const std::int64_t columns = t.size(-1);
  for (std::int64_t i = 0; i < t.numel(); ++i) {
    const std::int64_t row = i / columns, column = i % columns, power = row % 7 + column % 5 + column / 60 - 8;
    const double size = std::exp2(static_cast<double>(power));
    if (dtype == DType::bf16) {
      t.data<bf16>()[i] = bf16(static_cast<float>(t.data<bf16>()[i]) * static_cast<float>(size));
    } else {
      t.data<float>()[i] *= static_cast<float>(size);
    }
  }
  return t;
}

TEST(Fp8Linear, ForwardAndGradientsAreThoseOfQuantisedOperands) {
  for (const DType act : {DType::f32, DType::bf16}) {
    for (const std::int64_t t : {1, 127, 129, 150}) {
      SCOPED_TRACE(fmt::format("{} {} tokens", name_of(act), t));
      Random random(static_cast<std::uint64_t>(t));
      const std::int64_t k = 131, n = 137;
      const Tensor x = values({t, k}, act, random), w = values({n, k}, DType::f32, random),
                   dy = values({t, n}, act, random);
      const Outcome o = evaluate({x}, w, dy, [act](const auto& cx, const auto& in, const Tensor& weight) {
        return ops::fp8_linear(cx, in[0], weight, act);
      });
      const Offsets all = {0, t};
      const Matrix xm = matrix_of(x), wm = matrix_of(w), dym = matrix_of(dy);
      const Matrix xq = in_rows(xm), wq = in_blocks(wm, 1), dyq = in_rows(dym);
      EXPECT_TRUE(near(o.y, product(xq, wq, all, true)));
      EXPECT_FALSE(near(o.y, product(xm, wq, all, true))) << "x is quantised";
      EXPECT_FALSE(near(o.y, product(xq, in_rows(wm), all, true))) << "w is in blocks";
      EXPECT_TRUE(near(o.gradients[0], product(dyq, wq, all, false)));
      EXPECT_FALSE(near(o.gradients[0], product(dequantised(dym, all, 128, 128), wq, all, false)) && t > 1)
          << "dy is in tiles of 1 x 128";
      const Matrix xc = in_columns(xq, all), dyc = in_columns(dyq, all);
      EXPECT_TRUE(near(o.gradients[1], weight_gradient(dyc, xc, all)));
      EXPECT_FALSE(near(o.gradients[1], weight_gradient(dyq, xq, all)) && t > 1) << "both are requantised";
      EXPECT_FALSE(near(o.gradients[1], weight_gradient(dyc, in_columns(xm, all), all))) << "x was in fp8 before";
      EXPECT_FALSE(near(o.gradients[1], weight_gradient(in_columns(dym, all), xc, all))) << "dy was in fp8 before";
    }
  }
}

TEST(Fp8Linear, AfterAttentionTilesAreMadeFromTheInputWithPowersOfTwo) {
  Random random(3);
  const std::int64_t t = 150, k = 131, n = 37;
  const Tensor x = values({t, k}, DType::bf16, random), w = values({n, k}, DType::f32, random),
               dy = values({t, n}, DType::bf16, random);
  // Columns far below the others of their row: to tiles of 1 x 128 they are subnormal, to their own they are not.
  for (std::int64_t i = 0; i < x.numel(); i += 3) {
    x.data<bf16>()[i] = bf16(static_cast<float>(x.data<bf16>()[i]) * 0x1p-10f);
  }
  const Outcome o = evaluate({x}, w, dy, [](const auto& cx, const auto& in, const Tensor& weight) {
    return ops::fp8_linear(cx, in[0], weight, DType::f32, {}, ops::Fp8Input::after_attention);
  });
  const Offsets all = {0, t};
  const Matrix xm = matrix_of(x), wq = in_blocks(matrix_of(w), 1), dyc = in_columns(in_rows(matrix_of(dy)), all);
  EXPECT_TRUE(near(o.y, product(in_rows(xm, true), wq, all, true)));
  EXPECT_FALSE(near(o.y, product(in_rows(xm, false), wq, all, true)));
  EXPECT_TRUE(near(o.gradients[1], weight_gradient(dyc, in_columns(xm, all, true), all)));
  EXPECT_FALSE(near(o.gradients[1], weight_gradient(dyc, in_columns(in_rows(xm, true), all, true), all)));
}

TEST(Fp8Linear, GroupsHaveTilesOfTheirOwn) {
  Random random(4);
  const std::int64_t k = 131, n = 39;
  const Offsets parts = {0, 3, 3, 140, 271};
  const std::vector<std::int32_t> ends = {0, 3, 3, 140, 271};
  const Tensor offsets = Tensor::of<std::int32_t>(ends, {5});
  const Tensor x = values({271, k}, DType::bf16, random), w = values({4, n, k}, DType::f32, random),
               dy = values({271, n}, DType::bf16, random);
  const Outcome o = evaluate({x}, w, dy, [&](const auto& cx, const auto& in, const Tensor& weight) {
    return ops::fp8_grouped_linear(cx, in[0], weight, offsets);
  });
  const Matrix xq = in_rows(matrix_of(x), true), wq = in_blocks(matrix_of(w), 4), dyq = in_rows(matrix_of(dy));
  EXPECT_TRUE(near(o.y, product(xq, wq, parts, true)));
  EXPECT_FALSE(near(o.y, product(in_rows(matrix_of(x)), wq, parts, true))) << "dispatched rows have powers of two";
  EXPECT_TRUE(near(o.gradients[0], product(dyq, wq, parts, false)));
  const Sums expected = weight_gradient(in_columns(dyq, parts), in_columns(xq, parts, true), parts);
  EXPECT_TRUE(near(o.gradients[1], expected));
  const Matrix not_by_group = in_columns(dyq, {0, 271});
  EXPECT_FALSE(near(o.gradients[1], weight_gradient(not_by_group, in_columns(xq, parts, true), parts)));
}

// silu(g) u in f32 by the op that a test of its own holds.
Tensor swiglu_of(const Matrix& g, const Matrix& u, DType dtype) {
  ThreadPool pool(1);
  const kernels::Context cx(pool, kernels::Isa::ref);
  Tensor a = Tensor::empty({g.rows, g.columns}, dtype), b = Tensor::empty({g.rows, g.columns}, dtype);
  for (std::size_t i = 0; i < g.of.size(); ++i) {
    if (dtype == DType::bf16) {
      a.data<bf16>()[i] = bf16(static_cast<float>(g.of[i]));
      b.data<bf16>()[i] = bf16(static_cast<float>(u.of[i]));
    } else {
      a.data<float>()[i] = static_cast<float>(g.of[i]);
      b.data<float>()[i] = static_cast<float>(u.of[i]);
    }
  }
  return ops::swiglu(cx, a, b);
}

TEST(Fp8Linear, SwigluIsMadeAgainFromItsInputsInFp8) {
  for (const bool grouped : {false, true}) {
    SCOPED_TRACE(grouped);
    Random random(5);
    const std::int64_t t = 150, f = 131, n = 37, groups = grouped ? 2 : 1;
    const Offsets parts = grouped ? Offsets{0, 20, t} : Offsets{0, t};
    const std::vector<std::int32_t> ends = {0, 20, 150};
    const Tensor offsets = grouped ? Tensor::of<std::int32_t>(ends, {3}) : Tensor();
    const Tensor g = random_tensor({t, f}, DType::bf16, random, 2), u = values({t, f}, DType::bf16, random),
                 dy = values({t, n}, DType::bf16, random);
    const Tensor w = values(grouped ? Shape{2, n, f} : Shape{n, f}, DType::f32, random);
    const Outcome o = evaluate({g, u}, w, dy, [&](const auto& cx, const auto& in, const Tensor& weight) {
      return ops::fp8_swiglu_linear(cx, in[0], in[1], weight, offsets);
    });
    const Matrix gm = matrix_of(g), um = matrix_of(u), wq = in_blocks(matrix_of(w), groups);
    EXPECT_TRUE(near(o.y, product(in_rows(matrix_of(swiglu_of(gm, um, DType::bf16))), wq, parts, true)));
    const Matrix gq = in_rows(gm), uq = in_rows(um), dyq = in_rows(matrix_of(dy), grouped);
    const Matrix dyc = in_columns(dyq, parts, grouped);
    const Matrix again = in_columns(matrix_of(swiglu_of(gq, uq, DType::f32)), parts);
    EXPECT_TRUE(near(o.gradients[2], weight_gradient(dyc, again, parts)));
    const Matrix kept = in_columns(matrix_of(swiglu_of(gm, um, DType::f32)), parts);
    EXPECT_FALSE(near(o.gradients[2], weight_gradient(dyc, kept, parts))) << "g and u were in fp8";
    const Matrix other = in_columns(in_rows(matrix_of(dy), !grouped), parts, !grouped);
    EXPECT_FALSE(near(o.gradients[2], weight_gradient(other, again, parts))) << "scales of dy";
    // dg = dh u silu'(g), du = dh silu(g): a few roundings beside those of dh.
    const Sums dh = product(dyq, wq, parts, false);
    const Matrix dg = matrix_of(o.gradients[0]), du = matrix_of(o.gradients[1]);
    for (std::size_t i = 0; i < dg.of.size(); ++i) {
      const double s = 1 / (1 + std::exp(-gq.of[i])), slope = s * (1 + gq.of[i] * (1 - s));
      const double error = 150 * 0x1p-24 * dh.sizes.of[i] + 0x1p-7 * std::abs(dh.sum.of[i]);
      ASSERT_NEAR(dg.of[i], dh.sum.of[i] * uq.of[i] * slope, error * std::abs(uq.of[i]) + 1e-30);
      ASSERT_NEAR(du.of[i], dh.sum.of[i] * gq.of[i] * s, error * std::abs(gq.of[i] * s) + 1e-30);
    }
  }
}

// What stays of g and u until the backward: codes of a byte, and a scale for 128 of them.
TEST(Fp8Linear, SwigluKeepsAByteForEachInput) {
  ThreadPool pool(1);
  const kernels::Context cx(pool, kernels::default_isa());
  Random random(6);
  const std::int64_t t = 64, f = 256, n = 8;
  autograd::Tape tape(cx);
  Tensor w = random_tensor({n, f}, DType::f32, random);
  tape.watch(w, Tensor::zeros({n, f}, DType::f32));
  const auto forward = [&] {
    Tensor g = random_tensor({t, f}, DType::bf16, random), u = random_tensor({t, f}, DType::bf16, random);
    tape.input(g);
    tape.input(u);
    return ops::fp8_swiglu_linear(cx, g, u, w);
  };
  const Tensor first = forward();  // the context's scratch grows
  const std::size_t before = tensor_memory().live;
  const Tensor y = forward();
  const std::size_t kept = tensor_memory().live - before;
  EXPECT_EQ(kept, 2 * storage_bytes(t * f) + 2 * storage_bytes(t * (f / 128) * sizeof(float)) +
                      storage_bytes(2 * sizeof(std::int32_t)) + storage_bytes(y.bytes()));
}

}  // namespace
}  // namespace hadal::test
