// Products with weights that do not depend on each other, as one parallel region where there are few rows: decoding is
// bound by memory, and every region's start and end leave it idle.
#pragma once

#include <vector>

#include "kernels/kernels.h"
#include "tensor/tensor.h"

namespace hadal::ops {

// Element for element what linear and grouped_linear give. With many rows, or operands on a tape, a product is made
// when it is asked for; else by run(), and its tensor holds nothing before that.
class Products {
 public:
  explicit Products(const kernels::Context& cx) : cx_(cx) {}
  Tensor linear(const Tensor& x, const Tensor& w, DType y_dtype, const Tensor& bias = {});
  Tensor grouped(const Tensor& x, const Tensor& w, const Tensor& offsets);
  void run();

 private:
  const kernels::Context& cx_;
  std::vector<kernels::Matmul> list_;
  std::vector<Tensor> operands_;  // of the list, kept until run()
};

}  // namespace hadal::ops
