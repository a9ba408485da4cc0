// The table of ops: every op of src/ops has a row OP_ROW(name, ...) or the build fails (tools/check_house.py).
// A row makes random operands from a seed and runs the op; the table then checks, on every ISA of the machine:
// values against ref/, gradients against central differences, independence of the number of threads, and guard zones.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/tape.h"
#include "support/random_model.h"

namespace hadal::test {

struct Operand {
  std::string name;
  Tensor value;
  bool parameter = false;  // a watched leaf (f32 gradient added in place), else an activation
  bool differentiable = true;
};

// One random case of an op. `run` may be called any number of times and uses the operands' present values.
struct OpCase {
  std::vector<Operand> operands;
  std::function<std::vector<Tensor>(const kernels::Context&, std::vector<Operand>&)> run;
  bool bit_equal_to_ref = false;  // the op is a copy, a selection or a contract dot product
  // A step function, whose gradient counts rounding as the identity: no differences; tests/ops/NAME_test.cpp compares
  // it.
  bool quantises = false;
  double epsilon_scale = 1;  // the bound on values is this times sqrt(K) eps of the output's dtype, K the longest sum
};

struct OpRow {
  std::string name;
  std::function<OpCase(Random&, DType act)> make;
};

std::vector<OpRow>& op_rows();

struct RegisterOp {
  RegisterOp(std::string name, std::function<OpCase(Random&, DType)> make) {
    op_rows().push_back({std::move(name), std::move(make)});
  }
};

}  // namespace hadal::test

#define OP_ROW(name, ...) static const ::hadal::test::RegisterOp register_##name(#name, __VA_ARGS__)
