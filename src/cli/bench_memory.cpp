// hadal bench memory: kernels that the memory holds up (norm, SwiGLU, optimizer), as shares of the rate of a copy or a
// read of as many bytes.
#include <CLI/CLI.hpp>

#include <memory>

#include "base/error.h"
#include "cli/bench_table.h"
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

  // `element`: bytes that a kernel reads and writes for one element. Returns the rows of `width` that come to the
  // wanted bytes.
  std::int64_t rows(std::int64_t element) const {
    return std::max<std::int64_t>(1, (a_.mebibytes << 20) / element / a_.width);
  }
  template <class P>
  void measure(const std::string& name, const std::string& dtypes, const std::string& limit, std::int64_t rows,
               std::int64_t element, const P& p) {
    table_.row({name, fmt::format("{} x {}", rows, a_.width), dtypes, limit,
                static_cast<double>(rows * a_.width * element), time_calls(a_.common, [&] { kernels::run(cx_, p); })});
  }

  void norms() {
    const std::int64_t d = a_.width, n = rows(6), b = rows(10);
    const Tensor x = random_tensor({n, d}, DType::f32), w = random_tensor({d}, DType::f32),
                 y = Tensor::empty({n, d}, DType::bf16), rstd = Tensor::empty({n}, DType::f32),
                 dw = Tensor::zeros({d}, DType::f32), dx = Tensor::empty({b, d}, DType::f32);
    measure("rms_norm", "f32 to bf16", "copy", n, 6,
            kernels::RmsNorm{.rows = n,
                             .d = d,
                             .x = x.raw(),
                             .ldx = d,
                             .w = w.data<float>(),
                             .y = y.raw(),
                             .y_dtype = DType::bf16,
                             .rstd = rstd.data<float>()});
    measure("rms_norm_backward", "f32, dy bf16", "copy", b, 10,
            kernels::RmsNormBackward{.rows = b,
                                     .d = d,
                                     .x = x.raw(),
                                     .ldx = d,
                                     .w = w.data<float>(),
                                     .rstd = rstd.data<float>(),
                                     .dy = y.raw(),
                                     .dy_dtype = DType::bf16,
                                     .dx = dx.raw(),
                                     .lddx = d,
                                     .dw = dw.data<float>()});
  }

  void swiglu() {
    const std::int64_t n = rows(6), b = rows(10);
    const Shape shape{n, a_.width};
    const Tensor g = random_tensor(shape, DType::bf16), u = random_tensor(shape, DType::bf16),
                 h = Tensor::empty(shape, DType::bf16), dg = Tensor::empty(shape, DType::bf16),
                 du = Tensor::empty(shape, DType::bf16);
    measure("swiglu", "bf16", "copy", n, 6,
            kernels::Swiglu{.n = n * a_.width, .g = g.raw(), .u = u.raw(), .h = h.raw(), .act = DType::bf16});
    measure("swiglu_backward", "bf16", "copy", b, 10,
            kernels::SwigluBackward{.n = b * a_.width,
                                    .g = g.raw(),
                                    .u = u.raw(),
                                    .dh = h.raw(),
                                    .dg = dg.raw(),
                                    .du = du.raw(),
                                    .act = DType::bf16});
  }

  void optimizer() {
    const std::int64_t n = rows(30), s = rows(4);
    const Shape shape{n, a_.width};
    const Tensor p = random_tensor(shape, DType::f32), grad = random_tensor({s, a_.width}, DType::f32),
                 m = Tensor::zeros(shape, DType::f32), v = Tensor::zeros(shape, DType::f32),
                 compute = Tensor::empty(shape, DType::bf16);
    measure("adamw", "f32, copy bf16", "copy", n, 30,
            kernels::AdamW{.n = n * a_.width,
                           .p = p.data<float>(),
                           .grad = grad.data<float>(),
                           .m = m.data<float>(),
                           .v = v.data<float>(),
                           .compute = compute.data<bf16>(),
                           .lr = 1e-4f,
                           .decay = 0.1f});
    double sum = 0;
    measure("sum_squares", "f32", "read", s, 4,
            kernels::SumSquares{.n = s * a_.width, .x = grad.data<float>(), .result = &sum});
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
  const Bandwidth limits = measure_bandwidth(cx, a.common, a.mebibytes << 20);
  table.limit("copy", limits.copy);
  table.limit("read", limits.read);
  Bench bench(cx, a, table);
  bench.norms();
  bench.swiglu();
  bench.optimizer();
  table.print(a.common.json);
}

}  // namespace

void add_bench_memory(CLI::App& bench) {
  auto a = std::make_shared<Arguments>();
  CLI::App* verb =
      bench.add_subcommand("memory", "norm, SwiGLU and optimizer: share of the rate of a plain copy or read");
  add_bench_options(*verb, a->common);
  verb->add_option("--mebibytes", a->mebibytes, "bytes a kernel reads and writes: more than the caches hold")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  verb->add_option("--width", a->width, "columns of a row")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  verb->callback([a] { run(*a); });
}

}  // namespace hadal::cli
