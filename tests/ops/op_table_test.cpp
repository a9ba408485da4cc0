// Checks every row of the op table; op_table.h says what.
#include "op_table.h"

#include <gtest/gtest.h>

namespace hadal::test {
namespace {

double get(const Tensor& t, std::int64_t i) {
  return t.dtype() == DType::bf16 ? static_cast<double>(static_cast<float>(t.data<bf16>()[i])) : t.data<float>()[i];
}

void put(const Tensor& t, std::int64_t i, double v) {
  if (t.dtype() == DType::bf16) {
    t.data<bf16>()[i] = bf16(static_cast<float>(v));
  } else {
    t.data<float>()[i] = static_cast<float>(v);
  }
}

double distance(const Tensor& a, const Tensor& b) {
  double difference = 0, norm = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    difference += (get(a, i) - get(b, i)) * (get(a, i) - get(b, i));
    norm += get(b, i) * get(b, i);
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

struct Outcome {
  std::vector<Tensor> outputs, gradients;
};

// Forward and backward with random output gradients drawn from `seed`.
Outcome evaluate(OpCase& c, const kernels::Context& cx, std::uint64_t seed) {
  autograd::Tape tape(cx);
  Outcome out;
  for (Operand& o : c.operands) {
    if (!o.differentiable) continue;
    if (o.parameter) {
      tape.watch(o.value, Tensor::zeros(o.value.shape(), DType::f32));
    } else {
      tape.input(o.value);
    }
  }
  out.outputs = c.run(cx, c.operands);
  std::vector<Tensor> roots, seeds;
  Random random(seed);
  for (const Tensor& y : out.outputs) {
    if (!y.node()) continue;
    roots.push_back(y);
    seeds.push_back(random_tensor(y.shape(), y.dtype(), random));
  }
  if (!roots.empty()) tape.backward(roots, seeds);
  for (Operand& o : c.operands) {
    if (o.differentiable) out.gradients.push_back(o.value.node()->grad);
    o.value.set_node(nullptr);
  }
  for (Tensor& y : out.outputs) y.set_node(nullptr);
  return out;
}

struct Objective {
  double value = 0, terms = 0;  // <seeds, outputs> in double, and the sum of its terms' sizes
};

Objective objective(OpCase& c, const kernels::Context& cx, std::uint64_t seed) {
  Random random(seed);
  Objective sum;
  for (const Tensor& y : c.run(cx, c.operands)) {
    const Tensor weights = random_tensor(y.shape(), y.dtype(), random);
    for (std::int64_t i = 0; i < y.numel(); ++i) {
      sum.value += get(y, i) * get(weights, i);
      sum.terms += std::abs(get(y, i) * get(weights, i));
    }
  }
  return sum;
}

constexpr double kStep = 1.0 / 64;

// Directional derivative along +-1 directions by four-point central differences in f32 operands, sums in double.
double central_difference(OpCase& c, const kernels::Context& cx, std::uint64_t seed, const Tensor& x,
                          const std::vector<int>& direction) {
  const Tensor saved = x.clone();
  const auto at = [&](double h) {
    for (std::int64_t i = 0; i < x.numel(); ++i) put(x, i, get(saved, i) + h * direction[static_cast<std::size_t>(i)]);
    return objective(c, cx, seed).value;
  };
  const double d = (8 * (at(kStep) - at(-kStep)) - (at(2 * kStep) - at(-2 * kStep))) / (12 * kStep);
  std::memcpy(x.raw(), saved.raw(), saved.bytes());
  return d;
}

struct GradientCheck {
  bool equal = true;       // within 3e-4 of the gradient's size and the rounding of the differences
  bool sensitive = false;  // some operand's gradient is far enough above that rounding to show a factor of 1.001
};

GradientCheck check_gradient(OpCase& c, const kernels::Context& cx, const Outcome& out, double planted) {
  GradientCheck result;
  const double rounding = 1.2e-7 * objective(c, cx, 7).terms / kStep;
  std::size_t g = 0;
  for (Operand& o : c.operands) {
    if (!o.differentiable) continue;
    const Tensor& gradient = out.gradients[g++];
    double size = 0;
    std::vector<int> direction;
    for (std::int64_t i = 0; i < gradient.numel(); ++i) {
      // Along the gradient's own signs the terms add up, so that a factor of 1.001 cannot hide.
      direction.push_back(get(gradient, i) >= 0 ? 1 : -1);
      size += std::abs(get(gradient, i));
    }
    const double error = std::abs(planted * size - central_difference(c, cx, 7, o.value, direction));
    if (error > 3e-4 * size + rounding) result.equal = false;
    if (1e-3 * size > 2 * (3e-4 * size + rounding)) result.sensitive = true;
  }
  return result;
}

class OpTable : public testing::TestWithParam<std::size_t> {};

TEST_P(OpTable, GradientsEqualCentralDifferencesOnRef) {
  const OpRow& row = op_rows()[GetParam()];
  ThreadPool pool(1);
  const kernels::Context cx(pool, kernels::Isa::ref);
  int seen = 0;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    Random random(seed);
    OpCase c = row.make(random, DType::f32);
    if (c.quantises) return;
    const Outcome out = evaluate(c, cx, 7);
    if (out.gradients.empty()) return;
    const GradientCheck check = check_gradient(c, cx, out, 1.0);
    EXPECT_TRUE(check.equal) << row.name << " seed " << seed;
    if (!check.sensitive) continue;
    ++seen;
    EXPECT_FALSE(check_gradient(c, cx, out, 1.001).equal) << row.name << ": a gradient times 1.001 must fail";
  }
  EXPECT_GT(seen, 0) << row.name << ": no gradient was compared";
}

TEST_P(OpTable, EveryIsaAgreesWithRef) {
  const OpRow& row = op_rows()[GetParam()];
  ThreadPool pool(2);
  const kernels::Context ref(pool, kernels::Isa::ref);
  for (const DType act : {DType::f32, DType::bf16}) {
    const double eps = act == DType::f32 ? 6e-8 : 4e-3;
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
      Random random(seed);
      OpCase c = row.make(random, act);
      const Outcome expected = evaluate(c, ref, 7);
      for (const kernels::Isa isa : isas()) {
        SCOPED_TRACE(fmt::format("{} {} {} seed {}", row.name, kernels::name_of(isa), name_of(act), seed));
        const Outcome got = evaluate(c, kernels::Context(pool, isa), 7);
        for (std::size_t i = 0; i < got.outputs.size(); ++i) {
          const bool equal = !c.bit_equal_to_ref || same_bits(got.outputs[i], expected.outputs[i]);
          EXPECT_TRUE(equal) << "output " << i << " must equal ref to the bit";
          EXPECT_LE(distance(got.outputs[i], expected.outputs[i]), 8 * c.epsilon_scale * eps) << "output " << i;
        }
        for (std::size_t i = 0; i < got.gradients.size(); ++i) {
          EXPECT_LE(distance(got.gradients[i], expected.gradients[i]), 16 * c.epsilon_scale * eps) << "gradient " << i;
        }
      }
    }
  }
}

TEST_P(OpTable, ThreadsDoNotMatter) {
  const OpRow& row = op_rows()[GetParam()];
  for (const DType act : {DType::f32, DType::bf16}) {
    Random random(3);
    OpCase c = row.make(random, act);
    ThreadPool one(1);
    const Outcome expected = evaluate(c, kernels::Context(one, kernels::default_isa()), 7);
    for (const int threads : {2, 3, 8}) {
      ThreadPool pool(threads);
      const Outcome got = evaluate(c, kernels::Context(pool, kernels::default_isa()), 7);
      for (std::size_t i = 0; i < got.outputs.size(); ++i)
        EXPECT_TRUE(same_bits(got.outputs[i], expected.outputs[i])) << row.name;
      for (std::size_t i = 0; i < got.gradients.size(); ++i)
        EXPECT_TRUE(same_bits(got.gradients[i], expected.gradients[i])) << row.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, OpTable, testing::Range<std::size_t>(0, op_rows().size()),
                         [](const auto& row) { return op_rows()[row.param].name; });

}  // namespace
}  // namespace hadal::test
