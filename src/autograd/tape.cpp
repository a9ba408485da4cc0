#include "autograd/tape.h"

#include <utility>

#include "kernels/kernels.h"

namespace hadal::autograd {

void Tape::watch(Tensor& value, Tensor grad) {
  HADAL_ASSERT(!grad.defined() || (grad.dtype() == DType::f32 && grad.shape() == value.shape()));
  auto node = std::make_shared<Node>();
  node->tape = this;
  node->grad = std::move(grad);
  node->leaf = true;
  value.set_node(std::move(node));
}

void Tape::input(Tensor& value) {
  auto node = std::make_shared<Node>();
  node->tape = this;
  value.set_node(std::move(node));
}

void Tape::record(Tensor& output, std::function<void(Tensor)> backward) {
  auto node = std::make_shared<Node>();
  node->tape = this;
  node->backward = std::move(backward);
  nodes_.push_back(node);
  output.set_node(std::move(node));
}

void Tape::backward(const std::vector<Tensor>& outputs, const std::vector<Tensor>& seeds) {
  HADAL_ASSERT(outputs.size() == seeds.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].node()) fail("[backward] output {} depends on no watched tensor", i);
    HADAL_ASSERT(seeds[i].shape() == outputs[i].shape());
    accumulate(outputs[i], seeds[i]);
  }
  unwind(0);
}

void Tape::unwind(std::size_t mark) {
  while (nodes_.size() > mark) {
    const std::shared_ptr<Node> node = std::move(nodes_.back());
    nodes_.pop_back();
    if (node->grad.defined() || node->always) {
      Tensor grad = std::move(node->grad);
      node->grad = Tensor();
      node->backward(std::move(grad));
    }
    node->backward = nullptr;
  }
}

Tape* tape_of(std::initializer_list<const Tensor*> operands) {
  for (const Tensor* t : operands) {
    if (t->node()) return t->node()->tape->paused_ ? nullptr : t->node()->tape;
  }
  return nullptr;
}

// f() as if nothing were watched.
Tensor Tape::unrecorded(const std::function<Tensor()>& f) {
  struct Pause {
    bool& paused;
    bool before = std::exchange(paused, true);
    ~Pause() { paused = before; }
  };
  const Pause pause{paused_};
  return f();
}

void accumulate(const Tensor& value, Tensor grad) {
  Node* node = value.node().get();
  if (node == nullptr) return;
  HADAL_ASSERT(grad.numel() == value.numel());
  const bool own = grad.exclusive() && grad.dtype() == DType::f32 && grad.shape() == value.shape();
  if (!node->grad.defined() && (!node->leaf || own)) {
    node->grad = std::move(grad);
    return;
  }
  if (node->leaf) settle(value);
  Tensor& sum = node->grad;
  kernels::Add add{.n = sum.numel(), .a = sum.raw(), .a_dtype = sum.dtype(), .b = grad.raw(), .b_dtype = grad.dtype()};
  Tensor result = node->leaf || sum.exclusive() ? sum : Tensor::empty(sum.shape(), sum.dtype());
  add.y = result.raw();
  add.y_dtype = result.dtype();
  kernels::run(node->tape->context(), add);
  node->grad = std::move(result);
}

Tensor exclusive_grad(const Tensor& value) {
  Node* node = value.node().get();
  if (node == nullptr || node->leaf || !node->grad.defined() || !node->grad.exclusive()) return {};
  return node->grad;
}

float* leaf_grad(const Tensor& parameter) {
  settle(parameter);
  return parameter.node()->grad.data<float>();
}

LeafSum leaf_sum(const Tensor& parameter) {
  HADAL_ASSERT(parameter.node() && parameter.node()->leaf);
  Node& node = *parameter.node();
  const bool there = node.grad.defined();
  if (!there) node.grad = Tensor::empty(parameter.shape(), DType::f32);
  return {node.grad.data<float>(), there};
}

void settle(const Tensor& parameter) {
  HADAL_ASSERT(parameter.node() && parameter.node()->leaf);
  Node& node = *parameter.node();
  if (!node.grad.defined()) node.grad = Tensor::zeros(parameter.shape(), DType::f32);
}

Tensor recompute(std::initializer_list<Tensor> inputs, const std::function<Tensor(const std::vector<Tensor>&)>& f) {
  Tape* tape = nullptr;
  for (const Tensor& t : inputs) {
    if (tape == nullptr) tape = tape_of({&t});
  }
  std::vector<Tensor> saved(inputs);
  if (tape == nullptr) return f(saved);
  Tensor output = tape->unrecorded([&] { return f(saved); });
  tape->record(output, [tape, saved, f](Tensor grad) {
    const std::size_t start = tape->nodes_.size();
    std::vector<Tensor> again;
    for (const Tensor& t : saved) {
      again.push_back(t.detach());
      if (t.node()) tape->input(again.back());
    }
    accumulate(f(again), std::move(grad));  // the value itself is not wanted again
    tape->unwind(start);
    for (std::size_t i = 0; i < saved.size(); ++i) {
      if (again[i].node() && again[i].node()->grad.defined()) accumulate(saved[i], again[i].node()->grad);
    }
  });
  return output;
}

void forget(const Tensor& value, std::function<Tensor()> again) {
  if (!value.node()) return;
  Tape* tape = value.node()->tape;
  value.drop_memory();
  auto node = std::make_shared<Node>();
  node->tape = tape;
  node->always = true;
  node->backward = [tape, value = value.detach(), again = std::move(again)](const Tensor&) {
    value.put_back(tape->unrecorded(again));
  };
  tape->nodes_.push_back(std::move(node));
}

}  // namespace hadal::autograd
