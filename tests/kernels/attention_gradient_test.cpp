// The definition itself, in double: against a naive softmax and against central differences.
#include <gtest/gtest.h>

#include "attention_problem.h"
#include "kernels/ref/attention.h"

namespace hadal::test {
namespace {

using Doubles = Guarded<double>;

struct Forward {
  Doubles out, lse;
};

Forward definition(const AttentionProblem<double>& p) {
  Forward f{Doubles(p.rows * p.shape.heads * p.shape.dv), Doubles(p.rows * p.shape.heads)};
  const FlatTiles<double> flat(p);
  kernels::Attention a = p.forward_params();
  a.out = f.out.data();
  a.sequences = flat.sequences.data();
  a.sequence_count = p.sequences();
  ThreadPool pool(1);
  kernels::ref::attention_forward<double, double>(pool, a, f.lse.data());
  return f;
}

// softmax(scale q k^T) v with nothing clever.
Forward naive(const AttentionProblem<double>& p) {
  const AttentionShape& s = p.shape;
  Forward f{Doubles(p.rows * s.heads * s.dv), Doubles(p.rows * s.heads)};
  for (i64 n = 0; n < p.sequences(); ++n) {
    for (i64 i = p.starts[n]; i < p.starts[n + 1]; ++i) {
      for (i64 h = 0; h < s.heads; ++h) {
        const i64 at = h / (s.heads / s.kv_heads) * (s.d1 + s.dv);
        const double* q = p.q.data() + (i * s.heads + h) * (s.d1 + s.d2);
        std::vector<double> e, out(static_cast<std::size_t>(s.dv));
        double sum = 0;
        for (i64 j = p.starts[n]; j <= i; ++j) {
          double dot = 0;
          for (i64 c = 0; c < s.d1; ++c) dot += q[c] * p.kv[j * p.kv_width + at + c];
          for (i64 c = 0; c < s.d2; ++c) dot += q[s.d1 + c] * p.k2[j * s.d2 + c];
          e.push_back(std::exp(dot * static_cast<double>(p.scale)));
          sum += e.back();
        }
        f.lse[i * s.heads + h] = std::log(sum);
        for (i64 c = 0; c < s.dv; ++c) {
          double o = 0;
          for (i64 j = p.starts[n]; j <= i; ++j) {
            o += e[static_cast<std::size_t>(j - p.starts[n])] / sum * p.kv[j * p.kv_width + at + s.d1 + c];
          }
          f.out[(i * s.heads + h) * s.dv + c] = o;
        }
      }
    }
  }
  return f;
}

TEST(AttentionDefinition, EqualsNaiveSoftmax) {
  for (const AttentionShape& shape :
       {AttentionShape{2, 2, 5, 3, 4}, AttentionShape{4, 2, 3, 0, 7}, AttentionShape{1, 1, 1, 0, 1}}) {
    const AttentionProblem<double> p(shape, {1, 65, 600}, 3);
    const Forward a = definition(p), b = naive(p);
    for (i64 i = 0; i < a.out.size(); ++i) ASSERT_NEAR(a.out[i], b.out[i], 1e-12) << shape.name() << " element " << i;
    for (i64 i = 0; i < a.lse.size(); ++i) ASSERT_NEAR(a.lse[i], b.lse[i], 1e-12);
    EXPECT_TRUE(a.out.intact() && a.lse.intact());
  }
}

struct Gradients {
  Doubles dq, dkv, dk2;
};

Gradients definition_backward(const AttentionProblem<double>& p) {
  const Forward f = definition(p);
  Gradients g{Doubles(p.q.size()), Doubles(p.kv.size()), Doubles(p.k2.size())};
  kernels::AttentionBackward a = p.backward_params();
  a.out = f.out.data();
  a.dq = g.dq.data();
  a.dk1 = g.dkv.data();
  a.dv_out = g.dkv.data() + p.shape.d1;
  a.dk2 = g.dk2.data();
  ThreadPool pool(2);
  kernels::ref::attention_backward<double, double>(pool, a, f.lse.data());
  return g;
}

double loss(const AttentionProblem<double>& p) {
  const Forward f = naive(p);
  double sum = 0;
  for (i64 i = 0; i < f.out.size(); ++i) sum += f.out[i] * p.d_out[i];
  return sum;
}

// Largest |gradient * factor - difference| of every 7th element, relative to the largest difference.
double worst(AttentionProblem<double>& p, Doubles& input, const Doubles& gradient, double factor) {
  constexpr double kStep = 1e-5;
  double error = 0, largest = 0;
  for (i64 i = 0; i<input.size(); i += input.size()> 100 ? 7 : 1) {
    const double x = input[i];
    input[i] = x + kStep;
    const double up = loss(p);
    input[i] = x - kStep;
    const double difference = (up - loss(p)) / (2 * kStep);
    input[i] = x;
    error = std::max(error, std::abs(gradient[i] * factor - difference));
    largest = std::max(largest, std::abs(difference));
  }
  return error / largest;
}

TEST(AttentionDefinition, GradientsEqualCentralDifferences) {
  for (const AttentionShape& shape :
       {AttentionShape{2, 2, 3, 2, 3}, AttentionShape{4, 2, 3, 1, 2}, AttentionShape{2, 1, 4, 0, 3}}) {
    AttentionProblem<double> p(shape, {3, 1, 70}, 4);
    const Gradients g = definition_backward(p);
    EXPECT_TRUE(g.dq.intact() && g.dkv.intact() && g.dk2.intact());
    const auto check = [&](Doubles& input, const Doubles& gradient, const char* name) {
      if (input.size() == 0) return;
      EXPECT_LT(worst(p, input, gradient, 1), 1e-7) << shape.name() << " " << name;
      EXPECT_GT(worst(p, input, gradient, 1.001), 1e-7) << shape.name() << " " << name;
    };
    check(p.q, g.dq, "dq");
    check(p.kv, g.dkv, "dkv");
    check(p.k2, g.dk2, "dk2");
  }
}

}  // namespace
}  // namespace hadal::test
