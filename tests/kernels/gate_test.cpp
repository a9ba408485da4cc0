// The gate against a brute-force choice and hand-made cases (SPEC §2.1, §2.2, pitfalls 9-12); its gradient; every ISA.
#include "kernels/ref/gate.h"

#include "checks.h"

namespace hadal::test {
namespace {

using kernels::Gate;
using kernels::GateBackward;
using kernels::GateScore;
using kernels::GroupScore;

struct Problem {
  Gate settings;
  i64 rows;
  Buffer logits, bias;
  std::vector<i32> forced = {};

  Problem(const Gate& s, i64 rows_, std::uint64_t seed)
      : settings(s),
        rows(rows_),
        logits(Buffer::random(rows_ * s.experts, DType::f32, seed, 2)),
        bias(Buffer::random(s.experts, DType::f32, seed + 1, 0.3)) {}

  Gate params(i64 first, i64 n, Outputs& out, bool with_bias) const {
    out = {Buffer(n * settings.experts), Buffer(n * settings.top_k, DType::i32), Buffer(n * settings.top_k)};
    Gate p = settings;
    p.rows = n;
    p.logits = logits.data() + first * settings.experts;
    p.bias = with_bias ? bias.data() : nullptr;
    p.forced = forced.empty() ? nullptr : forced.data() + first * settings.top_k;
    p.scores = out[0].data();
    p.ids = out[1].data<i32>();
    p.weights = out[2].data();
    return p;
  }
  Outputs choose(const Context& cx, i64 first, i64 n, bool with_bias = true) const {
    Outputs out;
    run(cx, params(first, n, out, with_bias));
    return out;
  }
  // One row's answer on ref.
  Outputs row(i64 r, bool with_bias = true) const {
    ThreadPool pool(1);
    return choose(Context(pool, kernels::Isa::ref), r, 1, with_bias);
  }
};

Gate v3(i64 experts, i64 top_k, i64 groups, i64 top_groups) {
  return {.experts = experts,
          .top_k = top_k,
          .score = GateScore::sigmoid,
          .group_score = groups > 1 ? GroupScore::top2_sum : GroupScore::none,
          .groups = groups,
          .top_groups = top_groups,
          .normalise = true,
          .scale = 2.5f};
}
Gate v2(i64 experts, i64 top_k, i64 groups, i64 top_groups) {
  return {.experts = experts,
          .top_k = top_k,
          .score = GateScore::softmax,
          .group_score = groups > 1 ? GroupScore::max : GroupScore::none,
          .groups = groups,
          .top_groups = top_groups,
          .normalise = false,
          .scale = 16};
}

std::vector<i32> ids_of(const Outputs& out) {
  std::vector<i32> ids;
  for (i64 j = 0; j < out[1].size(); ++j) ids.push_back(static_cast<i32>(out[1].get(j)));
  return ids;
}

const std::vector<Gate> kGates = {v3(256, 8, 8, 4),   v3(64, 6, 1, 1), v3(16, 4, 4, 2),  v3(7, 3, 1, 1),
                                  v3(1, 1, 1, 1),     v3(6, 6, 1, 1),  v3(33, 2, 11, 3), v3(12, 2, 12, 5),
                                  v2(160, 6, 8, 3),   v2(64, 6, 1, 1), v2(17, 5, 1, 1),  v2(1, 1, 1, 1),
                                  v2(1024, 31, 32, 7)};

TEST(Gate, EqualEverywhere) {
  for (const Gate& g : kGates) {
    for (const bool with_bias : {false, true}) {
      Problem p(g, 41, 5);
      const std::string what = fmt::format("experts {} top {} groups {}", g.experts, g.top_k, g.groups);
      const Outputs free = expect_rows_equal(
          what, p.rows, [&](const Context& cx, i64 first, i64 n) { return p.choose(cx, first, n, with_bias); });
      // The same choice as an input, with other logits: the ids are copied, the weights are of the new scores.
      p.forced = ids_of(free);
      p.logits = Buffer::random(p.logits.size(), DType::f32, 99);
      const Outputs forced = expect_rows_equal(
          what + " forced", p.rows, [&](const Context& cx, i64 first, i64 n) { return p.choose(cx, first, n); });
      EXPECT_TRUE(forced[1].same_bits(free[1]));
    }
  }
}

// The k chosen beat every expert left out, groups first; weights are those of the unbiased scores.
TEST(Gate, ChoiceByBruteForce) {
  for (const Gate& g : kGates) {
    const Problem p(g, 60, 7);
    for (i64 r = 0; r < p.rows; ++r) {
      const Outputs out = p.row(r);
      std::vector<double> select;
      for (i64 e = 0; e < g.experts; ++e)
        select.push_back(static_cast<float>(out[0].get(e)) + static_cast<float>(p.bias.get(e)));
      const i64 size = g.experts / g.groups;
      std::vector<std::pair<double, i64>> groups;
      for (i64 i = 0; i < g.groups; ++i) {
        std::vector<double> members(select.begin() + i * size, select.begin() + (i + 1) * size);
        std::sort(members.rbegin(), members.rend());
        const bool two = g.group_score == GroupScore::top2_sum && size > 1;
        groups.emplace_back(-(two ? static_cast<float>(members[0]) + static_cast<float>(members[1]) : members[0]), i);
      }
      std::sort(groups.begin(), groups.end());
      if (g.group_score != GroupScore::none) groups.resize(static_cast<std::size_t>(g.top_groups));
      std::vector<std::pair<double, i32>> order;
      for (const auto& [score, i] : groups) {
        for (i64 e = i * size; e < (i + 1) * size; ++e)
          order.emplace_back(-select[static_cast<std::size_t>(e)], static_cast<i32>(e));
      }
      std::sort(order.begin(), order.end());
      std::vector<i32> expected;
      for (i64 j = 0; j < g.top_k; ++j) expected.push_back(order[static_cast<std::size_t>(j)].second);
      std::sort(expected.begin(), expected.end());
      EXPECT_EQ(ids_of(out), expected);
      double sum = 0;
      for (const i32 e : expected) sum += out[0].get(e);
      for (std::size_t j = 0; j < expected.size(); ++j) {
        const double w = out[0].get(expected[j]) / (g.normalise ? sum : 1.0) * static_cast<double>(g.scale);
        EXPECT_NEAR(out[2].get(static_cast<i64>(j)), w, (static_cast<double>(g.top_k) + 3) * 6e-8 * w);
      }
    }
  }
}

TEST(Gate, ScoresAreSigmoidAndSoftmax) {
  Problem s(v3(50, 2, 1, 1), 1, 3), m(v2(50, 2, 1, 1), 1, 3);
  double total = 0;
  for (i64 e = 0; e < 50; ++e) total += std::exp(m.logits.get(e));
  const Outputs sigmoid = s.row(0), softmax = m.row(0);
  for (i64 e = 0; e < 50; ++e) {
    const double x = s.logits.get(e), exact = 1 / (1 + std::exp(-x)), share = std::exp(x) / total;
    EXPECT_NEAR(sigmoid[0].get(e), exact, 6 * 6e-8 * exact);
    EXPECT_NEAR(softmax[0].get(e), share, 20 * 6e-8 * share);
  }
}

TEST(Gate, TiesGoToTheLowestNumber) {
  for (const Gate& g : {v3(64, 8, 8, 4), v2(64, 8, 8, 4), v3(64, 8, 1, 1)}) {
    Problem p(g, 3, 1);
    p.logits = Buffer(p.logits.size());
    const Outputs out = expect_rows_equal(
        "ties", p.rows, [&](const Context& cx, i64 first, i64 n) { return p.choose(cx, first, n, false); });
    for (i64 i = 0; i < out[1].size(); ++i) EXPECT_EQ(out[1].get(i), static_cast<double>(i % g.top_k));
  }
}

// Groups {0,1} and {2,3}: biased scores all negative. Masking with 0 instead of -inf would take experts of the group
// left out.
TEST(Gate, GroupsLeftOutAreMinusInfinity) {
  Problem p(v3(4, 2, 2, 1), 1, 1);
  p.logits = Buffer(4);
  for (i64 e = 0; e < 4; ++e) p.bias.set(e, -3.0 - 0.1 * static_cast<double>(e));
  EXPECT_EQ(ids_of(p.row(0)), (std::vector<i32>{0, 1}));
}

// Group 0 has the single best expert, group 1 the best two together: V2 takes group 0, V3 group 1.
TEST(Gate, GroupScoreIsMaxInV2AndTopTwoInV3) {
  Gate g = v3(4, 2, 2, 1);
  Problem p(g, 1, 1);
  for (const auto& [e, v] : {std::pair<i64, double>{0, 2.0}, {1, -2.0}, {2, 1.5}, {3, 1.4}}) p.logits.set(e, v);
  EXPECT_EQ(ids_of(p.row(0, false)), (std::vector<i32>{2, 3}));
  p.settings.group_score = GroupScore::max;
  EXPECT_EQ(ids_of(p.row(0, false)), (std::vector<i32>{0, 1}));
}

TEST(Gate, BiasChoosesButDoesNotWeigh) {
  Problem p(v3(3, 1, 1, 1), 1, 1);
  for (const auto& [e, v] : {std::pair<i64, double>{0, 1.0}, {1, 0.5}, {2, 0.0}}) p.logits.set(e, v);
  for (i64 e = 0; e < 3; ++e) p.bias.set(e, e == 2 ? 5.0 : 0.0);
  p.settings.normalise = false;
  const Outputs out = p.row(0);
  EXPECT_EQ(ids_of(out), (std::vector<i32>{2}));
  EXPECT_EQ(out[2].get(0), 0.5 * 2.5);
}

TEST(Gate, NanIsChosenLastAndHurtsNobodyElse) {
  for (const Gate& g : {v3(16, 4, 4, 2), v2(16, 4, 4, 2), v3(16, 16, 1, 1), v2(5, 2, 1, 1)}) {
    Problem p(g, 5, 4);
    for (i64 e = 0; e < g.experts; ++e) p.logits.set(3 * g.experts + e, NAN);
    p.logits.set(g.experts + 2, NAN);
    p.logits.set(2 * g.experts, INFINITY);
    p.logits.set(2 * g.experts + 1, -INFINITY);
    const Outputs out =
        expect_rows_equal("nan", p.rows, [&](const Context& cx, i64 first, i64 n) { return p.choose(cx, first, n); });
    for (i64 r = 0; r < p.rows; ++r) {
      for (i64 j = 0; j < g.top_k; ++j) {
        const i64 at = r * g.top_k + j;
        EXPECT_TRUE(j == 0 || out[1].get(at) > out[1].get(at - 1)) << "ids must rise";
        EXPECT_TRUE(out[1].get(at) >= 0 && out[1].get(at) < static_cast<double>(g.experts));
        EXPECT_TRUE((r != 0 && r != 4) || !std::isnan(out[2].get(at)));
        EXPECT_TRUE(r != 1 || g.score == GateScore::softmax || g.top_k == g.experts || out[1].get(at) != 2.0);
      }
    }
  }
}

struct Backward {
  GateBackward settings;
  i64 rows;
  Problem forward;
  Buffer d_weights, balance;
  std::vector<i32> sequence;

  Backward(const Gate& g, i64 rows_)
      : settings{.experts = g.experts, .top_k = g.top_k, .score = g.score, .normalise = g.normalise, .scale = g.scale},
        rows(rows_),
        forward(g, rows_, 5),
        d_weights(Buffer::random(rows_ * g.top_k, DType::f32, 8)),
        balance(Buffer::random(3 * g.experts, DType::f32, 9)) {
    for (i64 r = 0; r < rows; ++r) sequence.push_back(static_cast<i32>(r * 3 / rows));
  }
  Outputs run_rows(const Context& cx, i64 first, i64 n, bool with_balance) const {
    const Outputs fwd = forward.choose(cx, first, n);
    Outputs out{Buffer(n * settings.experts)};
    GateBackward p = settings;
    p.rows = n;
    p.scores = fwd[0].data();
    p.ids = fwd[1].data<i32>();
    p.d_weights = d_weights.data() + first * settings.top_k;
    p.balance_f = with_balance ? balance.data() : nullptr;
    p.balance_sequence = with_balance ? sequence.data() + first : nullptr;
    p.d_logits = out[0].data();
    run(cx, p);
    return out;
  }
};

TEST(Gate, BackwardEqualEverywhere) {
  for (const Gate& g : kGates) {
    for (const bool with_balance : {false, true}) {
      const Backward b(g, 41);
      expect_rows_equal(fmt::format("experts {} balance {}", g.experts, with_balance), b.rows,
                        [&](const Context& cx, i64 first, i64 n) { return b.run_rows(cx, first, n, with_balance); });
    }
  }
}

// <d_weights, weights> + sum_i f_i s_i / sum_j s_j with the choice held fixed.
TEST(Gate, Gradient) {
  for (const GateScore score : {GateScore::sigmoid, GateScore::softmax}) {
    for (const bool normalise : {true, false}) {
      for (const bool with_balance : {true, false}) {
        Gate g = v3(13, 4, 1, 1);
        g.score = score;
        g.normalise = normalise;
        const std::vector<i32> ids = {1, 4, 5, 12};
        const Doubles z = random_doubles(13, 1, 2), dw = random_doubles(4, 2), f = random_doubles(13, 3);
        const auto forward = [&](const Doubles& at, Doubles& scores) {
          Doubles weights(4);
          std::vector<i32> chosen(4);
          kernels::ref::gate_row<double>(g, at.data(), nullptr, ids.data(), scores.data(), chosen.data(),
                                         weights.data());
          return weights;
        };
        const auto loss = [&](const Doubles& at) {
          Doubles s(13);
          const double value = dot(forward(at, s), dw);
          return with_balance ? value + dot(f, s) / dot(Doubles(13, 1.0), s) : value;
        };
        Doubles scores(13), dz(13);
        forward(z, scores);
        const GateBackward p{.experts = 13, .top_k = 4, .score = score, .normalise = normalise, .scale = g.scale};
        kernels::ref::gate_backward_row(p, scores.data(), ids.data(), dw.data(), with_balance ? f.data() : nullptr,
                                        dz.data());
        expect_gradient(loss, z, dz);
      }
    }
  }
}

}  // namespace
}  // namespace hadal::test
