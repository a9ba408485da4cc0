#include "ops/swiglu.h"

#include "autograd/tape.h"
#include "kernels/kernels.h"
#include "ops/common.h"

namespace hadal::ops {

Tensor swiglu(const kernels::Context& cx, const Tensor& g, const Tensor& u) {
  require(g.shape() == u.shape() && g.dtype() == u.dtype(), "swiglu", "g and u of one shape and dtype", {&g, &u});
  Tensor h = Tensor::empty(g.shape(), g.dtype());
  kernels::run(cx, kernels::Swiglu{.n = g.numel(), .g = g.raw(), .u = u.raw(), .h = h.raw(), .act = g.dtype()});
  if (autograd::Tape* tape = autograd::tape_of({&g, &u})) {
    tape->record(h, [&cx, g, u](Tensor dh) {
      Tensor dg = Tensor::empty(g.shape(), g.dtype()), du = Tensor::empty(u.shape(), u.dtype());
      kernels::run(cx, kernels::SwigluBackward{.n = g.numel(),
                                               .g = g.raw(),
                                               .u = u.raw(),
                                               .dh = dh.raw(),
                                               .dg = dg.raw(),
                                               .du = du.raw(),
                                               .act = g.dtype()});
      autograd::accumulate(g, std::move(dg));
      autograd::accumulate(u, std::move(du));
    });
  }
  return h;
}

}  // namespace hadal::ops
