// Cross-entropy against the plain formula, its gradient, every ISA.
#include "kernels/ref/loss.h"

#include "checks.h"

namespace hadal::test {
namespace {

struct Problem {
  i64 rows, vocab;
  Buffer logits, coefficient;
  std::vector<i32> targets;

  Problem(i64 rows_, i64 vocab_, double scale = 4)
      : rows(rows_),
        vocab(vocab_),
        logits(Buffer::random(rows_ * vocab_, DType::f32, 1, scale)),
        coefficient(Buffer::random(rows_, DType::f32, 2, 0.2, 1)) {
    for (i64 r = 0; r < rows; ++r) targets.push_back(r % 4 == 3 ? -1 : static_cast<i32>(r * 97 % vocab));
  }
  Outputs loss(const Context& cx, i64 first, i64 n) const {
    Outputs out{Buffer(n)};
    run(cx, kernels::CrossEntropy{.rows = n,
                                  .vocab = vocab,
                                  .logits = logits.data() + first * vocab,
                                  .targets = targets.data() + first,
                                  .nll = out[0].data()});
    return out;
  }
  // In place: the gradient overwrites a copy of the logits.
  Outputs gradient(const Context& cx, i64 first, i64 n, DType dtype, bool in_place) const {
    Outputs out{Buffer(n), in_place ? logits.slice(first * vocab, n * vocab) : Buffer(n * vocab, dtype)};
    run(cx, kernels::CrossEntropy{.rows = n,
                                  .vocab = vocab,
                                  .logits = in_place ? out[1].data() : logits.data() + first * vocab,
                                  .targets = targets.data() + first,
                                  .nll = out[0].data(),
                                  .coefficient = coefficient.data() + first,
                                  .d_logits = out[1].raw(),
                                  .d_dtype = dtype});
    return out;
  }
};

TEST(CrossEntropy, EqualEverywhere) {
  for (const i64 vocab : {1, 2, 3, 7, 15, 16, 17, 31, 33, 61, 257, 5003}) {
    const Problem p(5, vocab);
    const Outputs plain =
        expect_rows_equal("nll", p.rows, [&](const Context& cx, i64 first, i64 n) { return p.loss(cx, first, n); });
    for (const DType dtype : kActs) {
      const auto kernel = [&](const Context& cx, i64 first, i64 n) { return p.gradient(cx, first, n, dtype, false); };
      const Outputs out = expect_rows_equal("gradient", p.rows, kernel);
      EXPECT_TRUE(out[0].same_bits(plain[0])) << "the loss must not depend on whether a gradient is wanted";
    }
    const Outputs apart = expect_rows_equal("apart", p.rows, [&](const Context& cx, i64 first, i64 n) {
      return p.gradient(cx, first, n, DType::f32, false);
    });
    const Outputs in_place = expect_rows_equal("in place", p.rows, [&](const Context& cx, i64 first, i64 n) {
      return p.gradient(cx, first, n, DType::f32, true);
    });
    EXPECT_TRUE(in_place[1].same_bits(apart[1]));
  }
}

TEST(CrossEntropy, EqualsTheFormula) {
  ThreadPool pool(1);
  for (const double scale : {0.1, 4.0, 60.0}) {
    const Problem p(6, 301, scale);
    const Outputs out = p.gradient(Context(pool, kernels::Isa::ref), 0, p.rows, DType::f32, false);
    for (i64 r = 0; r < p.rows; ++r) {
      const i32 target = p.targets[static_cast<std::size_t>(r)];
      double most = -INFINITY, sum = 0;
      for (i64 v = 0; v < p.vocab; ++v) most = std::max(most, p.logits.get(r * p.vocab + v));
      for (i64 v = 0; v < p.vocab; ++v) sum += std::exp(p.logits.get(r * p.vocab + v) - most);
      const double nll = target < 0 ? 0 : std::log(sum) + most - p.logits.get(r * p.vocab + target);
      // A relative error of about 30 half-ulps in the sum, one rounding of each z - max (up to 2^8), one of the result.
      EXPECT_NEAR(out[0].get(r), nll, 40 * 6e-8 + 2e-5 * (scale > 10) + 2 * 6e-8 * nll);
      for (i64 v = 0; v < p.vocab; ++v) {
        const double share = std::exp(p.logits.get(r * p.vocab + v) - most) / sum, c = p.coefficient.get(r);
        const double d = target < 0 ? 0 : c * (share - (v == target ? 1 : 0));
        EXPECT_NEAR(out[1].get(r * p.vocab + v), d, (40 * 6e-8 + 2e-5 * (scale > 10)) * share + 6e-8);
      }
    }
  }
}

TEST(CrossEntropy, CertainTargetLosesNothing) {
  Problem p(1, 40);
  for (i64 v = 0; v < p.vocab; ++v) p.logits.set(v, v == p.targets[0] ? 50.0 : -50.0);
  ThreadPool pool(1);
  EXPECT_EQ(p.loss(Context(pool, kernels::default_isa()), 0, 1)[0].get(0), 0.0);
}

TEST(CrossEntropy, NanReachesTheLossOfItsRowOnly) {
  for (const i64 at : {0, 5, 16, 37, 47}) {
    Problem p(3, 48);
    p.logits.set(p.vocab + at, NAN);
    for (const DType dtype : kActs) {
      const Outputs out = expect_rows_equal(
          "nan", p.rows, [&](const Context& cx, i64 first, i64 n) { return p.gradient(cx, first, n, dtype, false); });
      for (i64 r = 0; r < p.rows; ++r) EXPECT_EQ(std::isnan(out[0].get(r)), r == 1);
    }
  }
}

TEST(CrossEntropy, RowsWithoutTargetAreZeroWhateverTheirLogits) {
  Problem p(4, 20);
  for (i64 v = 0; v < p.vocab; ++v) p.logits.set(3 * p.vocab + v, v % 2 == 0 ? NAN : INFINITY);
  for (const DType dtype : kActs) {
    const Outputs out = expect_rows_equal(
        "masked", p.rows, [&](const Context& cx, i64 first, i64 n) { return p.gradient(cx, first, n, dtype, false); });
    EXPECT_EQ(out[0].get(3), 0.0);
    for (i64 v = 0; v < p.vocab; ++v) EXPECT_EQ(out[1].get(3 * p.vocab + v), 0.0);
  }
}

TEST(CrossEntropy, Gradient) {
  for (const i64 vocab : {i64{2}, i64{23}}) {
    const Doubles z = random_doubles(vocab, 1, 2);
    Doubles d(z.size());
    kernels::ref::cross_entropy_row(vocab, z.data(), 1, 0.7, d.data());
    expect_gradient(
        [&](const Doubles& at) {
          return 0.7 * kernels::ref::cross_entropy_row<double>(vocab, at.data(), 1, 0, nullptr);
        },
        z, d);
  }
}

}  // namespace
}  // namespace hadal::test
