// hadal bench memory: kernels that the memory holds up (norm, SwiGLU, optimizer), as shares of the rate of a copy or a
// read of as many bytes.
#include <memory>

#include "base/error.h"
#include "cli/bench_table.h"
#include "cli/options.h"
#include "cli/runtime.h"

namespace hadal::cli {

namespace {

struct Arguments {
  BenchOptions common;
  std::int64_t mebibytes = 512, width = 512;
};

class Bench {
 public:
  Bench(const kernels::Context& cx, const Arguments& a, BenchTable& table) : cx_(cx), a_(a), table_(table) {}

  // Rows of `width` that come to the wanted bytes, where a kernel reads and writes `element` bytes for an element.
  std::int64_t rows(std::int64_t element) const {
    return std::max<std::int64_t>(1, (a_.mebibytes << 20) / element / a_.width);
  }
  // p's pointers are to `tensors`, which live as long as the row.
  template <class P>
  void add(const std::string& name, const std::string& dtypes, std::int64_t rows, std::int64_t element, const P& p,
           std::vector<Tensor> tensors, const std::string& limit = "copy") {
    table_.add({.name = name,
                .shape = fmt::format("{} x {}", rows, a_.width),
                .dtype = dtypes,
                .limit = limit,
                .work = static_cast<double>(rows * a_.width * element),
                .call = [&cx = cx_, p, tensors = std::move(tensors)] { kernels::run(cx, p); }});
  }

  void norms() {
    const std::int64_t d = a_.width, n = rows(6), b = rows(10);
    const Tensor x = random_tensor({n, d}, DType::f32), w = random_tensor({d}, DType::f32),
                 y = Tensor::empty({n, d}, DType::bf16), rstd = Tensor::empty({n}, DType::f32),
                 dy = random_tensor({b, d}, DType::bf16), dw = Tensor::zeros({d}, DType::f32),
                 dx = Tensor::empty({b, d}, DType::f32);
    add("rms_norm", "f32 to bf16", n, 6,
        kernels::RmsNorm{.rows = n,
                         .d = d,
                         .x = x.raw(),
                         .ldx = d,
                         .w = w.data<float>(),
                         .y = y.raw(),
                         .y_dtype = DType::bf16,
                         .rstd = rstd.data<float>()},
        {x, w, y, rstd});
    add("rms_norm_backward", "f32, dy bf16", b, 10,
        kernels::RmsNormBackward{.rows = b,
                                 .d = d,
                                 .x = x.raw(),
                                 .ldx = d,
                                 .w = w.data<float>(),
                                 .rstd = rstd.data<float>(),
                                 .dy = dy.raw(),
                                 .dy_dtype = DType::bf16,
                                 .dx = dx.raw(),
                                 .lddx = d,
                                 .dw = dw.data<float>()},
        {x, w, rstd, dy, dx, dw});
  }

  void swiglu() {
    const std::int64_t n = rows(6), b = rows(10);
    const Tensor g = random_tensor({n, a_.width}, DType::bf16), u = random_tensor({n, a_.width}, DType::bf16),
                 h = Tensor::empty({n, a_.width}, DType::bf16), dh = random_tensor({b, a_.width}, DType::bf16),
                 dg = Tensor::empty({b, a_.width}, DType::bf16), du = Tensor::empty({b, a_.width}, DType::bf16);
    add("swiglu", "bf16", n, 6,
        kernels::Swiglu{.n = n * a_.width, .g = g.raw(), .u = u.raw(), .h = h.raw(), .act = DType::bf16}, {g, u, h});
    add("swiglu_backward", "bf16", b, 10,
        kernels::SwigluBackward{.n = b * a_.width,
                                .g = g.raw(),
                                .u = u.raw(),
                                .dh = dh.raw(),
                                .dg = dg.raw(),
                                .du = du.raw(),
                                .act = DType::bf16},
        {g, u, dh, dg, du});
  }

  void optimizer() {
    const std::int64_t n = rows(30);
    const Shape shape{n, a_.width};
    const Tensor p = random_tensor(shape, DType::f32), grad = random_tensor(shape, DType::f32),
                 m = Tensor::zeros(shape, DType::f32), v = Tensor::zeros(shape, DType::f32),
                 compute = Tensor::empty(shape, DType::bf16);
    add("adamw", "f32, copy bf16", n, 30,
        kernels::AdamW{.n = n * a_.width,
                       .p = p.data<float>(),
                       .grad = grad.data<float>(),
                       .m = m.data<float>(),
                       .v = v.data<float>(),
                       .compute = compute.data<bf16>(),
                       .lr = 1e-4f,
                       .decay = 0.1f},
        {p, grad, m, v, compute}, "update");
  }

  // The gradient norm only reads.
  void squares() {
    const std::int64_t n = rows(4);
    const Tensor x = random_tensor({n, a_.width}, DType::f32);
    table_.add({.name = "sum_squares",
                .shape = fmt::format("{} x {}", n, a_.width),
                .dtype = "f32",
                .limit = "read",
                .work = static_cast<double>(x.bytes()),
                .call = [&cx = cx_, x] {
                  double sum = 0;
                  kernels::run(cx, kernels::SumSquares{.n = x.numel(), .x = x.data<float>(), .result = &sum});
                }});
  }

 private:
  const kernels::Context& cx_;
  const Arguments& a_;
  BenchTable& table_;
};

void run(Arguments a) {
  if (a.common.quick) a.mebibytes = 1;
  const Runtime runtime(a.common.threads);
  const kernels::Context& cx = runtime.context();
  BenchTable table("memory", "B/s", cx);
  add_bandwidths(table, cx, a.mebibytes << 20);
  add_reads(table, cx, a.mebibytes << 20);
  Bench bench(cx, a, table);
  bench.norms();
  bench.swiglu();
  bench.optimizer();
  bench.squares();
  table.measure(a.common);
  table.print(a.common.json);
}

}  // namespace

void add_bench_memory(Command bench) {
  auto a = std::make_shared<Arguments>();
  Command verb = bench.add_verb("memory", "norm, SwiGLU and optimizer: share of the rate of a plain copy or read");
  add_bench_options(verb, a->common);
  verb.add_option("--mebibytes", a->mebibytes, "bytes a kernel reads and writes: more than the caches hold")
      .rule(whole(1, 1 << 16))
      .shows_default();
  verb.add_option("--width", a->width, "columns of a row").rule(whole(1, 1 << 20)).shows_default();
  verb.callback([a] { run(*a); });
}

}  // namespace hadal::cli
