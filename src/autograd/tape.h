// An eager, single-use tape over coarse ops. The tape is found through the operands: a tensor computed from a watched
// parameter carries its node, so there is no global flag, and an engine that never watches never records.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <vector>

#include "kernels/context.h"
#include "tensor/tensor.h"

namespace hadal::autograd {

class Tape;

struct Node {
  Tape* tape = nullptr;
  Tensor grad;          // sum of what the consumers have handed over so far; undefined before the first
  bool leaf = false;    // a watched parameter: `grad` is f32, and ops add to it in place
  bool always = false;  // `backward` runs without a gradient, too: see forget()
  std::function<void(Tensor grad)> backward;
};

class Tape {
 public:
  explicit Tape(const kernels::Context& cx) : cx_(&cx) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // Makes `value` a leaf whose gradient is added to `grad` (f32, same shape). Undefined: zero, and the first op that
  // has a gradient makes the buffer, value.node()->grad.
  void watch(Tensor& value, Tensor grad);
  // Makes `value` a node without a backward: its gradient stays in node()->grad (tests, recompute).
  void input(Tensor& value);

  // Gives `output` a node whose backward gets the gradient of `output` once it is complete.
  void record(Tensor& output, std::function<void(Tensor grad)> backward);

  // Runs everything backwards from `outputs` with gradients `seeds` (same shapes). Nodes are freed as they finish.
  // Outputs that depend on nothing watched are an error.
  void backward(const std::vector<Tensor>& outputs, const std::vector<Tensor>& seeds);

  std::size_t size() const { return nodes_.size(); }
  const kernels::Context& context() const { return *cx_; }

 private:
  friend Tape* tape_of(std::initializer_list<const Tensor*>);
  friend Tensor recompute(std::initializer_list<Tensor>, const std::function<Tensor(const std::vector<Tensor>&)>&);
  friend void forget(const Tensor&, std::function<Tensor()>);
  Tensor unrecorded(const std::function<Tensor()>& f);
  void unwind(std::size_t mark);
  const kernels::Context* cx_;
  bool paused_ = false;
  std::vector<std::shared_ptr<Node>> nodes_;
};

// The tape of the first operand that has one, or null: then nothing needs recording.
Tape* tape_of(std::initializer_list<const Tensor*> operands);

// Hands a gradient to a value; adds if there is one already. Does nothing for a value without a node.
void accumulate(const Tensor& value, Tensor grad);

// The value's gradient if it is there and nobody else holds its memory: an op may then add to it in place. Else
// undefined.
Tensor exclusive_grad(const Tensor& value);

// The f32 gradient buffer of a watched parameter, to be added to; made if it is not there. Only for leaves.
float* leaf_grad(const Tensor& parameter);

// The same for an op that can overwrite every element instead: saves a pass of zeros and one of reading them.
struct LeafSum {
  float* data;
  bool accumulate;
};
LeafSum leaf_sum(const Tensor& parameter);

// Gives a leaf that no op has touched a gradient of zeros.
void settle(const Tensor& parameter);

// y = f(inputs) without keeping what f's ops save: f runs again in the backward. f must be a pure function of its
// inputs and of watched parameters, and must not hand out other tensors that need a gradient.
Tensor recompute(std::initializer_list<Tensor> inputs, const std::function<Tensor(const std::vector<Tensor>&)>& f);

// Frees the memory of `value`, which the ops recorded so far share, until the backward comes to this place: there
// again() makes it anew, to the bit. Call it after the last op that reads `value`; of two values the one that the other
// is made from comes last. again() must not read what is freed then. Without a node it does nothing.
void forget(const Tensor& value, std::function<Tensor()> again);

}  // namespace hadal::autograd
