// The balance losses of V3 and V2 against their papers' formulas in double, values and gradients, for both kinds of
// scores.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>

#include "kernels/ref/gate.h"
#include "op_table.h"
#include "ops/gate.h"

namespace hadal::test {
namespace {

struct Problem {
  std::int64_t groups = 4, experts = 12, top_k = 3, top_groups = 2;
  kernels::GateScore score = kernels::GateScore::sigmoid;
  std::vector<std::int64_t> starts = {0, 5, 5, 18};  // three sequences, one of them empty
  Tensor logits, choice;
};

Problem problem(kernels::GateScore score) {
  Problem p;
  p.score = score;
  Random random(11);
  p.logits = random_tensor({p.starts.back(), p.experts}, DType::f32, random);
  p.choice = Tensor::empty({p.starts.back(), p.top_k}, DType::i32);
  for (std::int64_t t = 0; t < p.starts.back(); ++t) {
    std::vector<std::int32_t> all(static_cast<std::size_t>(p.experts));
    std::iota(all.begin(), all.end(), 0);
    // Half of the tokens within two groups, so that a group may have several experts of a token.
    std::shuffle(all.begin(), t % 2 == 0 ? all.begin() + 6 : all.end(), random);
    std::sort(all.begin(), all.begin() + p.top_k);
    std::copy_n(all.begin(), p.top_k, p.choice.data<std::int32_t>() + t * p.top_k);
  }
  return p;
}

struct Losses {
  double expert = 0, device = 0, communication = 0;
};

// The formulas as printed: V3 eq 17-20 and V2 §2.2.3, with indicators in place of counts.
Losses formulas(const Problem& p, const std::vector<double>& logits) {
  Losses sum;
  const std::int64_t size = p.experts / p.groups;
  for (std::size_t s = 0; s + 1 < p.starts.size(); ++s) {
    const std::int64_t begin = p.starts[s], end = p.starts[s + 1];
    const auto T = static_cast<double>(end - begin);
    if (T == 0) continue;
    const auto chosen = [&](std::int64_t t, std::int64_t i) {
      for (std::int64_t j = 0; j < p.top_k; ++j) {
        if (p.choice.data<std::int32_t>()[t * p.top_k + j] == i) return true;
      }
      return false;
    };
    std::vector<double> f, P;
    for (std::int64_t i = 0; i < p.experts; ++i) {
      double count = 0, share = 0;
      for (std::int64_t t = begin; t < end; ++t) {
        std::vector<double> scores(static_cast<std::size_t>(p.experts));
        kernels::ref::score_row(p.score, p.experts, logits.data() + t * p.experts, scores.data());
        double total = 0;
        for (const double v : scores) total += v;
        count += chosen(t, i) ? 1 : 0;
        share += scores[static_cast<std::size_t>(i)] / total;
      }
      f.push_back(static_cast<double>(p.experts) / (static_cast<double>(p.top_k) * T) * count);
      P.push_back(share / T);
      sum.expert += f.back() * P.back();
    }
    for (std::int64_t g = 0; g < p.groups; ++g) {
      double f1 = 0, P1 = 0, sent = 0;
      for (std::int64_t j = g * size; j < (g + 1) * size; ++j) {
        f1 += f[static_cast<std::size_t>(j)] / static_cast<double>(size);
        P1 += P[static_cast<std::size_t>(j)];
      }
      for (std::int64_t t = begin; t < end; ++t) {
        bool here = false;
        for (std::int64_t j = g * size; j < (g + 1) * size; ++j) here = here || chosen(t, j);
        sent += here ? 1 : 0;
      }
      sum.device += f1 * P1;
      sum.communication += static_cast<double>(p.groups) / (static_cast<double>(p.top_groups) * T) * sent * P1;
    }
  }
  return sum;
}

struct Result {
  ops::GateResult gate;
  Tensor gradient;  // of the balance losses alone
};

Result run(const Problem& p, const ops::Balance& balance) {
  ThreadPool pool(2);
  const kernels::Context cx(pool, kernels::default_isa());
  autograd::Tape tape(cx);
  Tensor logits = p.logits.clone();
  tape.input(logits);
  const ops::GateSettings settings{.score = p.score,
                                   .group_score = kernels::GroupScore::max,
                                   .groups = p.groups,
                                   .top_groups = p.top_groups,
                                   .top_k = p.top_k};
  Result r;
  r.gate = ops::gate(cx, logits, {}, settings, p.choice, balance);
  tape.backward({r.gate.weights_TK}, {Tensor::zeros(r.gate.weights_TK.shape(), DType::f32)});
  r.gradient = logits.node()->grad;
  return r;
}

class BalanceLosses : public testing::TestWithParam<kernels::GateScore> {};

TEST_P(BalanceLosses, ValuesAreThePapers) {
  const Problem p = problem(GetParam());
  const Result r = run(p, {.starts = p.starts});
  const Losses expected = formulas(p, {p.logits.span<float>().begin(), p.logits.span<float>().end()});
  EXPECT_NEAR(r.gate.balance, expected.expert, 1e-6);
  EXPECT_NEAR(r.gate.device_balance, expected.device, 1e-6);
  EXPECT_NEAR(r.gate.communication_balance, expected.communication, 1e-6);
  // No coefficient, no gradient.
  for (const float g : r.gradient.span<float>()) EXPECT_EQ(g, 0);
}

TEST_P(BalanceLosses, GradientsAreCentralDifferences) {
  const Problem p = problem(GetParam());
  const std::vector<double> logits(p.logits.span<float>().begin(), p.logits.span<float>().end());
  for (const ops::Balance& b : {ops::Balance{p.starts, 0.7f, 0, 0}, ops::Balance{p.starts, 0, 0.7f, 0},
                                ops::Balance{p.starts, 0, 0, 0.7f}, ops::Balance{p.starts, 0.3f, 0.5f, 0.7f}}) {
    const auto loss = [&](const std::vector<double>& z) {
      const Losses l = formulas(p, z);
      return static_cast<double>(b.coefficient) * l.expert + static_cast<double>(b.device_coefficient) * l.device +
             static_cast<double>(b.communication_coefficient) * l.communication;
    };
    const Result r = run(p, b);
    constexpr double h = 1e-3;
    double error = 0, planted = 0, norm = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const auto at = [&](double step) {
        std::vector<double> moved = logits;
        moved[i] += step;
        return loss(moved);
      };
      const double d = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
      const double g = r.gradient.span<float>()[i];
      error += (g - d) * (g - d);
      planted += (1.001 * g - d) * (1.001 * g - d);
      norm += d * d;
    }
    ASSERT_GT(norm, 0);
    // The gradient is the difference of f and its mean, both in f32: some hundred eps of cancellation.
    EXPECT_LT(std::sqrt(error / norm), 2e-5);
    EXPECT_GT(std::sqrt(planted / norm), 2e-5) << "a gradient times 1.001 must fail";
  }
}

TEST_P(BalanceLosses, OneGroupMakesTheLastTwoConstant) {
  Problem p = problem(GetParam());
  p.groups = p.top_groups = 1;
  const Result r = run(p, {p.starts, 0, 0.5f, 0.5f});
  EXPECT_NEAR(r.gate.device_balance, 2, 1e-6);  // 1 for each sequence that is not empty
  EXPECT_NEAR(r.gate.communication_balance, 2, 1e-6);
  for (const float g : r.gradient.span<float>()) EXPECT_NEAR(g, 0, 1e-7);
}

INSTANTIATE_TEST_SUITE_P(Scores, BalanceLosses,
                         testing::Values(kernels::GateScore::sigmoid, kernels::GateScore::softmax),
                         [](const auto& info) {
                           return info.param == kernels::GateScore::sigmoid ? "sigmoid" : "softmax";
                         });

}  // namespace
}  // namespace hadal::test
