// SwiGLU, casts, sums and copies.
#include "kernels/ref/elementwise.h"

#include "checks.h"

namespace hadal::test {
namespace {

const std::vector<i64> kLengths = {0, 1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 61, 257, 16384, 16385, 70001};

// Normal numbers, and at the front the edges: zeros, infinities, NaN, subnormals, halfway cases of bf16.
Buffer hard_numbers(i64 n, DType dtype, std::uint64_t seed) {
  Buffer b = Buffer::random(n, dtype, seed, 5);
  const std::vector<double> edges = {0.0,   -0.0,   INFINITY, -INFINITY, NAN,         100,         -100,  3e38, -3e38,
                                     1e-40, -1e-40, 1e-45,    87.3,      1.00390625f, 1.01171875f, -87.3, 88.5, 1e-30};
  for (i64 i = 0; i < n - 20 && i < static_cast<i64>(edges.size()); ++i) b.set(i, edges[static_cast<std::size_t>(i)]);
  return b;
}

TEST(Swiglu, EqualEverywhere) {
  for (const DType act : kActs) {
    for (const i64 n : kLengths) {
      const Buffer g = hard_numbers(n, act, 1), u = Buffer::random(n, act, 2), dh = Buffer::random(n, act, 3);
      expect_equal_everywhere(fmt::format("swiglu {}", n), [&](const Context& cx) {
        Outputs out{Buffer(n, act), Buffer(n, act), Buffer(n, act)};
        run(cx, kernels::Swiglu{.n = n, .g = g.raw(), .u = u.raw(), .h = out[0].raw(), .act = act});
        run(cx, kernels::SwigluBackward{.n = n,
                                        .g = g.raw(),
                                        .u = u.raw(),
                                        .dh = dh.raw(),
                                        .dg = out[1].raw(),
                                        .du = out[2].raw(),
                                        .act = act});
        return out;
      });
    }
  }
}

TEST(Swiglu, NearTheExactValue) {
  const Buffer g = Buffer::random(4000, DType::f32, 1, 8);
  for (i64 i = 0; i < g.size(); ++i) {
    const double x = g.get(i), exact = x / (1 + std::exp(-x));
    // exp within 2 ulp, then a sum, a division and a product: below 6 half-ulps of 2^-24 each, with room for exp's own.
    EXPECT_NEAR(kernels::ref::swiglu_element(static_cast<float>(x), 1.0f), exact, 8 * 6e-8 * std::abs(exact)) << x;
  }
}

TEST(Swiglu, Gradient) {
  const i64 n = 40;
  const Doubles g = random_doubles(n, 1, 3), u = random_doubles(n, 2), dh = random_doubles(n, 3);
  const auto loss = [&](const Doubles& gs, const Doubles& us) {
    double sum = 0;
    for (std::size_t i = 0; i < dh.size(); ++i) sum += dh[i] * kernels::ref::swiglu_element(gs[i], us[i]);
    return sum;
  };
  Doubles dg, du;
  for (std::size_t i = 0; i < dh.size(); ++i) {
    const auto d = kernels::ref::swiglu_backward_element(g[i], u[i], dh[i]);
    dg.push_back(d.dg);
    du.push_back(d.du);
  }
  expect_gradient([&](const Doubles& at) { return loss(at, u); }, g, dg);
  expect_gradient([&](const Doubles& at) { return loss(g, at); }, u, du);
}

TEST(Cast, EqualEverywhere) {
  for (const DType from : kActs) {
    for (const DType to : kActs) {
      for (const i64 n : kLengths) {
        const Buffer x = hard_numbers(n, from, 1);
        const Outputs out = expect_equal_everywhere(fmt::format("cast {}", n), [&](const Context& cx) {
          Outputs o{Buffer(n, to)};
          run(cx, kernels::Cast{.n = n, .x = x.raw(), .x_dtype = from, .y = o[0].raw(), .y_dtype = to});
          return o;
        });
        for (i64 i = 0; i < n; ++i) {
          const double v = x.get(i), y = out[0].get(i);
          if (from == to || to == DType::f32) {
            EXPECT_TRUE(v == y || (std::isnan(v) && std::isnan(y)));
          } else if (std::isfinite(y)) {
            EXPECT_LE(std::abs(v - y), std::max(std::abs(v) / 256, 4.6e-41)) << v;
          }
        }
      }
    }
  }
}

TEST(Cast, RoundsHalvesToEven) {
  const std::vector<std::pair<float, float>> cases = {
      {1.00390625f, 1.0f},       {1.01171875f, 1.015625f}, {1.00390637f, 1.0078125f}, {-1.00390625f, -1.0f},
      {3.3961775e38f, INFINITY}, {0x1p-134f, 0.0f},        {0x1.8p-133f, 0x1p-132f}};
  for (const auto& [x, y] : cases) {
    Buffer in(1), out(1, DType::bf16);
    in.set(0, x);
    for (const kernels::Isa isa : machine_isas()) {
      ThreadPool pool(1);
      run(Context(pool, isa),
          kernels::Cast{.n = 1, .x = in.raw(), .x_dtype = DType::f32, .y = out.raw(), .y_dtype = DType::bf16});
      EXPECT_EQ(out.get(0), y) << x << " on " << name_of(isa);
    }
  }
}

TEST(Add, EqualEverywhereAlsoInPlace) {
  for (const DType at : kActs) {
    for (const DType bt : kActs) {
      for (const DType yt : kActs) {
        for (const i64 n : kLengths) {
          const Buffer a = hard_numbers(n, at, 1), b = Buffer::random(n, bt, 2);
          const Outputs out = expect_equal_everywhere(fmt::format("add {}", n), [&](const Context& cx) {
            Outputs o{Buffer(n, yt), a.slice(0, n), b.slice(0, n)};
            kernels::Add p{
                .n = n, .a = a.raw(), .a_dtype = at, .b = b.raw(), .b_dtype = bt, .y = o[0].raw(), .y_dtype = yt};
            run(cx, p);
            p.a = p.y = o[1].raw();
            p.y_dtype = at;
            run(cx, p);
            p.a = a.raw();
            p.b = p.y = o[2].raw();
            p.y_dtype = bt;
            run(cx, p);
            return o;
          });
          for (i64 i = 20; i < n; ++i) {
            const auto sum = static_cast<float>(a.get(i)) + static_cast<float>(b.get(i));
            EXPECT_EQ(out[0].get(i), yt == DType::bf16 ? static_cast<float>(bf16(sum)) : sum);
          }
        }
      }
    }
  }
}

TEST(CopyBlock, CopiesTheBlockAndNothingElse) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64}) {
    for (const auto& [rows, cols] :
         {std::pair<i64, i64>{0, 3}, {3, 0}, {1, 1}, {7, 5}, {3, 64}, {500, 131}, {1, 100003}}) {
      for (const i64 gap : {i64{0}, i64{3}}) {
        const i64 ldx = cols + gap, ldy = cols + 2 * gap;
        const Buffer x = Buffer::random(rows * ldx, dtype, 1);
        const Outputs out = expect_equal_everywhere(fmt::format("copy {} x {}", rows, cols), [&](const Context& cx) {
          Outputs o{Buffer(rows * ldy, dtype)};
          run(cx, kernels::CopyBlock{.rows = rows,
                                     .cols = cols,
                                     .x = x.raw(),
                                     .ldx = ldx,
                                     .y = o[0].raw(),
                                     .ldy = ldy,
                                     .element = static_cast<i64>(size_of(dtype))});
          return o;
        });
        for (i64 i = 0; i < rows * ldy; ++i) {
          const i64 r = i / ldy, c = i % ldy;
          EXPECT_EQ(out[0].get(i), c < cols ? x.get(r * ldx + c) : 0.0);
        }
      }
    }
  }
}

}  // namespace
}  // namespace hadal::test
