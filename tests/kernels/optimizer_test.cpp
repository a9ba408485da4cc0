// AdamW against the paper's formula in double, the sum of squares, the moving average, every ISA.
#include "kernels/ref/optimizer.h"

#include "checks.h"

namespace hadal::test {
namespace {

const std::vector<i64> kLengths = {0, 1, 3, 15, 16, 17, 31, 33, 4095, 4096, 4097, 16385, 50021};

kernels::AdamW settings(int step) {
  return {.grad_scale = 0.37f,
          .lr = 3e-3f,
          .beta1 = 0.9f,
          .beta2 = 0.95f,
          .eps = 1e-8f,
          .decay = 0.1f,
          .bias1 = static_cast<float>(1 - std::pow(0.9, step)),
          .bias2 = static_cast<float>(1 - std::pow(0.95, step))};
}

// Three steps; outputs: weights, moments, bf16 copy.
Outputs train(const Context& cx, i64 n, bool with_copy, DType moments = DType::f32) {
  Outputs out{Buffer::random(n, DType::f32, 1), Buffer(n, moments), Buffer(n, moments), Buffer(n, DType::bf16)};
  for (int step = 1; step <= 3; ++step) {
    const Buffer grad = Buffer::random(n, DType::f32, 10 + static_cast<std::uint64_t>(step), 0.01);
    kernels::AdamW p = settings(step);
    p.n = n;
    p.p = out[0].data();
    p.grad = grad.data();
    p.m = out[1].raw();
    p.v = out[2].raw();
    p.moments = moments;
    p.compute = with_copy ? out[3].data<bf16>() : nullptr;
    run(cx, p);
  }
  return out;
}

TEST(AdamW, EqualEverywhere) {
  for (const i64 n : kLengths) {
    const Outputs with = expect_equal_everywhere("adamw", [&](const Context& cx) { return train(cx, n, true); });
    for (i64 i = 0; i < n; ++i) EXPECT_EQ(with[3].get(i), static_cast<float>(bf16(static_cast<float>(with[0].get(i)))));
    expect_equal_everywhere("adamw without copy", [&](const Context& cx) { return train(cx, n, false); });
    expect_equal_everywhere("adamw, bf16 moments",
                            [&](const Context& cx) { return train(cx, n, n % 2 == 0, DType::bf16); });
  }
}

TEST(AdamW, EqualsThePaper) {
  constexpr i64 n = 500;
  ThreadPool pool(1);
  const Outputs out = train(Context(pool, kernels::default_isa()), n, true);
  Doubles theta = Buffer::random(n, DType::f32, 1).values(), m(n), v(n);
  for (int step = 1; step <= 3; ++step) {
    const Doubles grad = Buffer::random(n, DType::f32, 10 + static_cast<std::uint64_t>(step), 0.01).values();
    for (std::size_t i = 0; i < theta.size(); ++i) {
      const double g = 0.37 * grad[i];
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.95 * v[i] + 0.05 * g * g;
      const double m_hat = m[i] / (1 - std::pow(0.9, step)), v_hat = v[i] / (1 - std::pow(0.95, step));
      theta[i] -= 3e-3 * (m_hat / (std::sqrt(v_hat) + 1e-8) + 0.1 * theta[i]);
    }
  }
  for (i64 i = 0; i < n; ++i) {
    // Three roundings of weights up to 4, and three steps of at most lr * sqrt(3), whose m may have cancelled.
    EXPECT_NEAR(out[0].get(i), theta[static_cast<std::size_t>(i)],
                3 * (1.5 * 6e-8 * std::abs(theta[static_cast<std::size_t>(i)]) + 3e-3 * 2e-6));
    EXPECT_NEAR(out[1].get(i), m[static_cast<std::size_t>(i)], 1e-2 * 1e-6);
    EXPECT_NEAR(out[2].get(i), v[static_cast<std::size_t>(i)], 2e-6 * v[static_cast<std::size_t>(i)] + 1e-30);
  }
}

// What is stored is the f32 moment, rounded to nearest even; the weights take the moment before it is rounded.
TEST(AdamW, Bf16MomentsAreRoundedWhereTheyAreStored) {
  constexpr i64 n = 700;
  ThreadPool pool(1);
  const Context cx(pool, kernels::default_isa());
  Buffer weights = Buffer::random(n, DType::f32, 1), same = weights, m(n, DType::bf16), v(n, DType::bf16);
  i64 rounded = 0;
  for (int step = 1; step <= 4; ++step) {
    const Buffer grad = Buffer::random(n, DType::f32, 20 + static_cast<std::uint64_t>(step), 0.01);
    Buffer wide_m(n), wide_v(n);
    for (i64 i = 0; i < n; ++i) wide_m.set(i, m.get(i)), wide_v.set(i, v.get(i));
    kernels::AdamW p = settings(step);
    p.n = n;
    p.grad = grad.data();
    p.p = same.data();
    p.m = wide_m.raw();
    p.v = wide_v.raw();
    run(cx, p);
    p.p = weights.data();
    p.m = m.raw();
    p.v = v.raw();
    p.moments = DType::bf16;
    run(cx, p);
    EXPECT_TRUE(weights.same_bits(same)) << "step " << step;
    for (i64 i = 0; i < n; ++i) {
      EXPECT_EQ(m.get(i), static_cast<float>(bf16(static_cast<float>(wide_m.get(i)))));
      EXPECT_EQ(v.get(i), static_cast<float>(bf16(static_cast<float>(wide_v.get(i)))));
      rounded += m.get(i) != wide_m.get(i);
    }
  }
  EXPECT_GT(rounded, n) << "no moment needed rounding";
}

TEST(SumSquares, EqualEverywhereAndNearTheTruth) {
  for (const i64 n : kLengths) {
    const Buffer x = Buffer::random(n, DType::f32, 1, 3);
    const Outputs out = expect_equal_everywhere("sum of squares", [&](const Context& cx) {
      Outputs o{Buffer(1, DType::f64)};
      run(cx, kernels::SumSquares{.n = n, .x = x.data(), .result = o[0].data<double>()});
      return o;
    });
    double sum = 0;
    for (i64 i = 0; i < n; ++i) sum += x.get(i) * x.get(i);
    EXPECT_NEAR(out[0].get(0), sum, 260 * 6e-8 * sum);
  }
}

TEST(Ema, EqualEverywhereAndTheFormula) {
  for (const i64 n : kLengths) {
    const Buffer x = Buffer::random(n, DType::f32, 1, 3), before = Buffer::random(n, DType::f32, 2);
    const Outputs out = expect_equal_everywhere("moving average", [&](const Context& cx) {
      Outputs o{Buffer::random(n, DType::f32, 2)};
      run(cx, kernels::Ema{.n = n, .x = x.data(), .average = o[0].data(), .decay = 0.99f});
      return o;
    });
    for (i64 i = 0; i < n; ++i) {
      const double average = 0.99 * before.get(i) + 0.01 * x.get(i);
      EXPECT_NEAR(out[0].get(i), average, 2e-7 * (std::abs(before.get(i)) + std::abs(x.get(i))));
    }
  }
}

}  // namespace
}  // namespace hadal::test
