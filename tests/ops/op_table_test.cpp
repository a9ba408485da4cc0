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

// <seeds, outputs> in double, without a tape.
double objective(OpCase& c, const kernels::Context& cx, std::uint64_t seed) {
  Random random(seed);
  double sum = 0;
  for (const Tensor& y : c.run(cx, c.operands)) {
    const Tensor weights = random_tensor(y.shape(), y.dtype(), random);
    for (std::int64_t i = 0; i < y.numel(); ++i) sum += get(y, i) * get(weights, i);
  }
  return sum;
}

// Directional derivative along +-1 directions by four-point central differences in f32 operands, sums in double.
double central_difference(OpCase& c, const kernels::Context& cx, std::uint64_t seed, const Tensor& x, const std::vector<int>& direction) {
  const Tensor saved = x.clone();
  const auto at = [&](double h) {
    for (std::int64_t i = 0; i < x.numel(); ++i) put(x, i, get(saved, i) + h * direction[static_cast<std::size_t>(i)]);
    return objective(c, cx, seed);
  };
  constexpr double kH = 1.0 / 64;
  const double d = (8 * (at(kH) - at(-kH)) - (at(2 * kH) - at(-2 * kH))) / (12 * kH);
  std::memcpy(x.raw(), saved.raw(), saved.bytes());
  return d;
}

// Relative error of <gradient, direction> against differences, measured against the size of the terms of the sum.
double gradient_error(OpCase& c, const kernels::Context& cx, const Outcome& out, double planted) {
  double worst = 0;
  std::size_t g = 0;
  Random random(99);
  for (Operand& o : c.operands) {
    if (!o.differentiable) continue;
    const Tensor& gradient = out.gradients[g++];
    double size = 0, inner = 0;
    std::vector<int> direction;
    for (std::int64_t i = 0; i < gradient.numel(); ++i) {
      // Along the gradient's own signs the terms add up, so that a factor of 1.001 cannot hide.
      direction.push_back(get(gradient, i) >= 0 ? 1 : -1);
      inner += planted * get(gradient, i) * direction.back();
      size += std::abs(get(gradient, i));
    }
    if (size == 0) continue;
    worst = std::max(worst, std::abs(inner - central_difference(c, cx, 7, o.value, direction)) / size);
  }
  return worst;
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
    const Outcome out = evaluate(c, cx, 7);
    if (out.gradients.empty()) return;
    const double error = gradient_error(c, cx, out, 1.0);
    EXPECT_LT(error, 3e-4) << row.name << " seed " << seed;
    double largest = 0;
    for (const Tensor& g : out.gradients) {
      for (std::int64_t i = 0; i < g.numel(); ++i) largest = std::max(largest, std::abs(get(g, i)));
    }
    if (largest == 0) continue;
    ++seen;
    EXPECT_GT(gradient_error(c, cx, out, 1.001), 3e-4) << row.name << ": a gradient times 1.001 must fail";
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
          if (c.bit_equal_to_ref) EXPECT_TRUE(same_bits(got.outputs[i], expected.outputs[i])) << "output " << i;
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
      for (std::size_t i = 0; i < got.outputs.size(); ++i) EXPECT_TRUE(same_bits(got.outputs[i], expected.outputs[i])) << row.name;
      for (std::size_t i = 0; i < got.gradients.size(); ++i) EXPECT_TRUE(same_bits(got.gradients[i], expected.gradients[i])) << row.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, OpTable, testing::Range<std::size_t>(0, op_rows().size()),
                         [](const auto& info) { return op_rows()[info.param].name; });

}  // namespace
}  // namespace hadal::test
