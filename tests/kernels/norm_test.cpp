// RMSNorm against its formula, its gradient against differences, the fast kernels against the definition.
#include "kernels/ref/norm.h"

#include "checks.h"

namespace hadal::test {
namespace {

using kernels::RmsNorm;
using kernels::RmsNormBackward;

struct Problem {
  i64 rows, d, ldx;
  DType x_dtype, y_dtype;
  Buffer x, w, dy;

  Problem(i64 rows_, i64 d_, DType xt, DType yt)
      : rows(rows_),
        d(d_),
        ldx(d_ + 5),
        x_dtype(xt),
        y_dtype(yt),
        x(Buffer::random(rows_ * ldx, xt, 1, 3)),
        w(Buffer::random(d_, DType::f32, 2, 0.1, 1)),
        dy(Buffer::random(rows_ * d_, yt, 3)) {}

  Outputs forward(const Context& cx, i64 first, i64 n) const {
    Outputs out{Buffer(n * d, y_dtype), Buffer(n)};
    run(cx, RmsNorm{.rows = n,
                    .d = d,
                    .x = x.at(first * ldx),
                    .ldx = ldx,
                    .x_dtype = x_dtype,
                    .w = w.data(),
                    .eps = 1e-6f,
                    .y = out[0].raw(),
                    .y_dtype = y_dtype,
                    .rstd = out[1].data()});
    return out;
  }
  // dx alone, or with dw as a second output; dx starts as 0.5 everywhere, also between the rows.
  Outputs backward(const Context& cx, i64 first, i64 n, DType dx_dtype, bool accumulate, bool with_dw) const {
    const Buffer rstd = std::move(forward(cx, first, n)[1]);
    const i64 lddx = d + 3;
    Outputs out{Buffer(n * lddx, dx_dtype)};
    for (i64 i = 0; i < out[0].size(); ++i) out[0].set(i, 0.5);
    if (with_dw) out.push_back(Buffer::random(d, DType::f32, 4));
    run(cx, RmsNormBackward{.rows = n,
                            .d = d,
                            .x = x.at(first * ldx),
                            .ldx = ldx,
                            .x_dtype = x_dtype,
                            .w = w.data(),
                            .rstd = rstd.data(),
                            .dy = dy.at(first * d),
                            .dy_dtype = y_dtype,
                            .dx = out[0].raw(),
                            .lddx = lddx,
                            .dx_dtype = dx_dtype,
                            .dx_accumulate = accumulate,
                            .dw = with_dw ? out[1].data() : nullptr});
    for (i64 r = 0; r < n; ++r) {
      for (i64 c = d; c < lddx; ++c) EXPECT_EQ(out[0].get(r * lddx + c), 0.5) << "written between the rows";
    }
    return out;
  }
};

TEST(RmsNorm, EqualsTheFormula) {
  const Problem p(3, 97, DType::f32, DType::f32);
  ThreadPool pool(1);
  const Outputs out = p.forward(Context(pool, kernels::Isa::ref), 0, 3);
  for (i64 r = 0; r < p.rows; ++r) {
    double squares = 0;
    for (i64 c = 0; c < p.d; ++c) squares += p.x.get(r * p.ldx + c) * p.x.get(r * p.ldx + c);
    const double rstd = 1 / std::sqrt(squares / static_cast<double>(p.d) + 1e-6);
    // Each partial of 7 rounded sums and a tree of 4: at most 12 eps/2 in the mean, halved by the root; three more
    // roundings.
    EXPECT_NEAR(out[1].get(r), rstd, 10 * 6e-8 * rstd);
    for (i64 c = 0; c < p.d; ++c) {
      const double y = p.x.get(r * p.ldx + c) * rstd * p.w.get(c);
      EXPECT_NEAR(out[0].get(r * p.d + c), y, 12 * 6e-8 * std::abs(y));
    }
  }
}

TEST(RmsNorm, EqualEverywhere) {
  for (const DType xt : kActs) {
    for (const DType yt : kActs) {
      for (const i64 d : kWidths) {
        const Problem p(3, d, xt, yt);
        expect_rows_equal(fmt::format("d {}", d), p.rows,
                          [&](const Context& cx, i64 first, i64 n) { return p.forward(cx, first, n); });
      }
      const Problem large(301, 269, xt, yt);
      expect_rows_equal("large", large.rows,
                        [&](const Context& cx, i64 first, i64 n) { return large.forward(cx, first, n); });
    }
  }
}

TEST(RmsNorm, BackwardEqualEverywhere) {
  for (const DType xt : kActs) {
    for (const DType dxt : kActs) {
      for (const bool accumulate : {false, true}) {
        for (const i64 d : kWidths) {
          const Problem p(3, d, xt, dxt);
          const std::string what = fmt::format("d {} accumulate {}", d, accumulate);
          expect_rows_equal(what, p.rows, [&](const Context& cx, i64 first, i64 n) {
            return p.backward(cx, first, n, dxt, accumulate, false);
          });
        }
        // More chunks of rows than one, the last of them short; wide enough for blocks of columns.
        for (const auto& [rows, d] : {std::pair<i64, i64>{64, 19}, {65, 19}, {1000, 23}, {131, 6151}}) {
          const Problem p(rows, d, xt, xt);
          expect_equal_everywhere(fmt::format("rows {} d {}", rows, d),
                                  [&](const Context& cx) { return p.backward(cx, 0, p.rows, dxt, accumulate, true); });
        }
      }
    }
  }
}

TEST(RmsNorm, NoRows) {
  const Problem p(0, 5, DType::f32, DType::f32);
  const Outputs out = expect_equal_everywhere(
      "no rows", [&](const Context& cx) { return p.backward(cx, 0, 0, DType::f32, false, true); });
  EXPECT_TRUE(out[1].same_bits(Buffer::random(p.d, DType::f32, 4))) << "dw must stay";
}

TEST(RmsNorm, NanStaysInItsRow) {
  Problem p(3, 33, DType::f32, DType::f32);
  p.x.set(p.ldx + 4, NAN);
  const Outputs out =
      expect_rows_equal("nan", p.rows, [&](const Context& cx, i64 first, i64 n) { return p.forward(cx, first, n); });
  for (i64 i = 0; i < out[0].size(); ++i) EXPECT_EQ(std::isnan(out[0].get(i)), i / p.d == 1);
}

TEST(RmsNorm, Gradient) {
  for (const i64 d : {i64{1}, i64{5}, i64{37}}) {
    const Doubles x = random_doubles(d, 1), w = random_doubles(d, 2, 0.3, 1), dy = random_doubles(d, 3);
    const auto n = static_cast<std::size_t>(d);
    const auto loss = [&](const Doubles& at, const Doubles& gain) {
      Doubles y(n);
      kernels::ref::rms_norm_row(d, at.data(), gain.data(), 1e-2, y.data());
      return dot(y, dy);
    };
    Doubles y(n), dx(n), dw(n);
    const double rstd = kernels::ref::rms_norm_row(d, x.data(), w.data(), 1e-2, y.data());
    kernels::ref::rms_norm_backward_row(d, x.data(), w.data(), rstd, dy.data(), dx.data(), dw.data());
    expect_gradient([&](const Doubles& at) { return loss(at, w); }, x, dx);
    expect_gradient([&](const Doubles& gain) { return loss(x, gain); }, w, dw);
  }
}

}  // namespace
}  // namespace hadal::test
