// Gradients of weights: made by the backward that has one, gone when the optimizer has taken them; sums of
// micro-batches move through the tree without copies.
#include <gtest/gtest.h>

#include <bit>

#include "support/random_model.h"
#include "train/accumulate.h"
#include "train/objective.h"

namespace hadal {
namespace {

struct Fixture {
  ThreadPool pool{1};  // which thread's scratch has grown would depend on who did what
  kernels::Context cx{pool, kernels::default_isa()};
  test::Random random{11};
  model::Config config = test::small_v3(random);
  model::CausalLm model{config, DType::bf16};
  Fixture() { test::randomise(model, random); }

  train::TrainRows rows() {
    train::TrainRows r;
    for (int i = 0; i < 2; ++i) r.tokens.push_back(test::random_tokens(random, 60, config.vocab_size));
    return r;
  }
  void backward(train::Optimizer& optimizer) {
    const train::TrainRows r = rows();
    autograd::Tape tape(cx);
    const train::Watch watch(tape, optimizer);
    train::run_objective(cx, model, r, {.mtp_lambda = 0.3, .global_tokens = r.loss_tokens(), .global_rows = 2});
  }
};

std::size_t bytes_of_gradients(const train::Optimizer& optimizer) {
  std::size_t bytes = 0;
  for (const train::TrainedParameter& p : optimizer.parameters())
    bytes += storage_bytes(static_cast<std::size_t>(p.master.numel()) * sizeof(float));
  return bytes;
}

TEST(GradientMemory, MadeByTheBackwardAndFreedByTheStep) {
  Fixture f;
  train::Optimizer optimizer(f.model, {});
  f.backward(optimizer);  // scratch grows
  optimizer.zero_grads();
  const std::size_t before = tensor_memory().live;
  f.backward(optimizer);
  EXPECT_EQ(tensor_memory().live - before, bytes_of_gradients(optimizer));
  EXPECT_GT(optimizer.grad_norm(f.cx), 0);
  optimizer.step(f.cx, 1e-3, 1, 1);
  EXPECT_EQ(tensor_memory().live, before);
}

TEST(GradientMemory, TreeHoldsOneSetALevel) {
  Fixture f;
  train::Optimizer optimizer(f.model, {});
  train::GradientTree tree(optimizer);
  f.backward(optimizer);
  optimizer.zero_grads();
  const std::size_t before = tensor_memory().live, set = bytes_of_gradients(optimizer);
  for (std::size_t i = 1; i <= 6; ++i) {
    f.backward(optimizer);
    reset_tensor_peak();
    tree.take(f.cx);
    EXPECT_EQ(tensor_memory().live - before, static_cast<std::size_t>(std::popcount(i)) * set) << i;
    EXPECT_LE(tensor_memory().peak - before, static_cast<std::size_t>(std::popcount(i - 1) + 1) * set) << i;
  }
  tree.finish(f.cx);
  EXPECT_EQ(tensor_memory().live - before, set);
}

// What the first op hands over is the gradient itself, not a copy, and a parameter that no op has used gets zeros.
TEST(GradientMemory, FirstGradientIsTakenAsItIs) {
  Fixture f;
  autograd::Tape tape(f.cx);
  Tensor used = Tensor::zeros({4}, DType::f32), unused = Tensor::zeros({3}, DType::f32);
  tape.watch(used, {});
  tape.watch(unused, {});
  Tensor grad = Tensor::of<float>(std::vector<float>{1, 2, 3, 4}, {4});
  const void* memory = grad.raw();
  autograd::accumulate(used, std::move(grad));
  EXPECT_EQ(used.node()->grad.raw(), memory);
  const Tensor shared = Tensor::of<float>(std::vector<float>{1, 1, 1, 1}, {4});
  autograd::accumulate(used, shared);
  EXPECT_EQ(used.node()->grad.data<float>()[3], 5);
  EXPECT_EQ(shared.data<float>()[3], 1);
  EXPECT_FALSE(unused.node()->grad.defined());
  autograd::settle(unused);
  EXPECT_EQ(unused.node()->grad.data<float>()[2], 0);
}

}  // namespace
}  // namespace hadal
