// The rotary embedding against complex multiplication, both pairings; the fast kernels against the definition.
#include "kernels/ref/rope.h"

#include <complex>

#include "checks.h"

namespace hadal::test {
namespace {

using kernels::Rope;

constexpr i64 kPositions = 50;

struct Problem {
  i64 rows, heads, rot;
  bool interleaved, inverse;
  DType act;
  i64 head = rot + 4, row = heads * head + 2;  // strides
  std::vector<i32> positions;
  Buffer x, cosine, sine;

  Problem(i64 rows_, i64 heads_, i64 rot_, bool interleaved_, bool inverse_, DType act_)
      : rows(rows_),
        heads(heads_),
        rot(rot_),
        interleaved(interleaved_),
        inverse(inverse_),
        act(act_),
        x(Buffer::random(rows_ * row, act_, 1)),
        cosine(kPositions * rot_ / 2),
        sine(kPositions * rot_ / 2) {
    for (i64 r = 0; r < rows; ++r) positions.push_back(static_cast<i32>(r * 37 % kPositions));
    for (i64 i = 0; i < cosine.size(); ++i) {
      cosine.set(i, std::cos(0.37 * static_cast<double>(i)));
      sine.set(i, std::sin(0.37 * static_cast<double>(i)));
    }
  }
  // In place if asked: y starts as a copy of x.
  Outputs rotate(const Context& cx, i64 first, i64 n, bool in_place) const {
    Outputs out{x.slice(first * row, n * row)};
    run(cx, Rope{.rows = n,
                 .heads = heads,
                 .rot = rot,
                 .x = in_place ? out[0].raw() : x.at(first * row),
                 .x_row = row,
                 .x_head = head,
                 .y = out[0].raw(),
                 .y_row = row,
                 .y_head = head,
                 .act = act,
                 .positions = positions.data() + first,
                 .cos = cosine.data(),
                 .sin = sine.data(),
                 .interleaved = interleaved,
                 .inverse = inverse});
    return out;
  }
};

TEST(Rope, IsComplexMultiplication) {
  for (const bool interleaved : {true, false}) {
    for (const bool inverse : {true, false}) {
      const Problem p(4, 3, 10, interleaved, inverse, DType::f32);
      ThreadPool pool(1);
      const Outputs out = p.rotate(Context(pool, kernels::Isa::ref), 0, p.rows, false);
      for (i64 r = 0; r < p.rows; ++r) {
        for (i64 h = 0; h < p.heads; ++h) {
          for (i64 i = 0; i < p.rot / 2; ++i) {
            const i64 base = r * p.row + h * p.head, entry = p.positions[static_cast<std::size_t>(r)] * (p.rot / 2) + i;
            const i64 a = base + (interleaved ? 2 * i : i), b = base + (interleaved ? 2 * i + 1 : i + p.rot / 2);
            const double angle = (inverse ? -0.37 : 0.37) * static_cast<double>(entry);
            const auto z = std::complex<double>(p.x.get(a), p.x.get(b)) * std::polar(1.0, angle);
            EXPECT_NEAR(out[0].get(a), z.real(), 1e-6);
            EXPECT_NEAR(out[0].get(b), z.imag(), 1e-6);
          }
        }
        for (i64 c = p.rot; c < p.head; ++c) EXPECT_EQ(out[0].get(r * p.row + c), p.x.get(r * p.row + c));
      }
    }
  }
}

TEST(Rope, EqualEverywhere) {
  for (const DType act : kActs) {
    for (const bool interleaved : {true, false}) {
      for (const bool inverse : {true, false}) {
        for (const bool in_place : {true, false}) {
          for (const i64 rot : {2, 4, 6, 14, 16, 18, 30, 32, 34, 62, 64, 66, 128}) {
            const Problem p(3, 2, rot, interleaved, inverse, act);
            expect_rows_equal(fmt::format("rot {} interleaved {} inverse {}", rot, interleaved, inverse), p.rows,
                              [&](const Context& cx, i64 first, i64 n) { return p.rotate(cx, first, n, in_place); });
          }
        }
        const Problem p(150, 5, 64, interleaved, inverse, act);
        expect_rows_equal("large", p.rows,
                          [&](const Context& cx, i64 first, i64 n) { return p.rotate(cx, first, n, false); });
      }
    }
  }
}

// The backward is the rotation by the negative angle.
TEST(Rope, InverseIsTheGradient) {
  for (const bool interleaved : {true, false}) {
    constexpr i64 rot = 6;
    const Doubles x = random_doubles(rot, 1), dy = random_doubles(rot, 2), cosine = {0.8, -0.6, 0.28},
                  sine = {0.6, 0.8, -0.96};
    const auto loss = [&](const Doubles& at) {
      Doubles y(rot);
      kernels::ref::rope_row(rot, interleaved, false, at.data(), cosine.data(), sine.data(), y.data());
      return dot(y, dy);
    };
    Doubles dx(rot);
    kernels::ref::rope_row(rot, interleaved, true, dy.data(), cosine.data(), sine.data(), dx.data());
    expect_gradient(loss, x, dx);
  }
}

}  // namespace
}  // namespace hadal::test
