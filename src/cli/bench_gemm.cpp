// hadal bench gemm: dense matmuls, squares and the shapes of models, as shares of the best square.
#include <memory>
#include <set>
#include <tuple>

#include "base/error.h"
#include "cli/bench_table.h"
#include "cli/options.h"
#include "cli/runtime.h"
#include "model/build.h"

namespace hadal::cli {

namespace {

struct Arguments {
  BenchOptions common;
  std::vector<std::string> presets = {"bench-100m", "demo"};
  std::int64_t tokens = 4096;
};

struct Layer {
  std::string name;
  std::int64_t out = 0, in = 0;
};

// The dense weights of a model, one for each shape; the head is the last.
std::vector<Layer> layers_of(const model::Config& c) {
  std::vector<Layer> all;
  std::set<std::pair<std::int64_t, std::int64_t>> seen;
  for (const model::ParameterShape& p : model::layout(c)) {
    if (p.parameter.kind != nn::ParameterKind::matrix || p.parameter.stacked || p.mtp) continue;
    if (!seen.insert({p.shape[0], p.shape[1]}).second) continue;
    std::string name = p.parameter.name.substr(p.parameter.name.find('.', std::string("model.layers.").size()) + 1);
    name.resize(name.rfind('.'));
    all.push_back({name.substr(name.rfind('.') + 1), p.shape[0], p.shape[1]});
  }
  all.push_back({"lm_head", c.vocab_size, c.hidden_size});
  return all;
}

// y = x wᵀ, dx = dy w, dw = dyᵀ x: what ops/linear.cpp runs in a step.
void add_linear(BenchTable& table, const kernels::Context& cx, std::int64_t t, const std::string& preset,
                const Layer& layer, DType dtype) {
  const std::int64_t out = layer.out, in = layer.in;
  const Tensor x = random_tensor({t, in}, dtype), w = random_tensor({out, in}, dtype),
               dy = random_tensor({t, out}, dtype), y = Tensor::empty({t, out}, dtype),
               dx = Tensor::empty({t, in}, dtype), dw = Tensor::zeros({out, in}, DType::f32);
  const kernels::Matmul forward{.m = t,
                                .n = out,
                                .k = in,
                                .a = x.raw(),
                                .lda = in,
                                .b = w.raw(),
                                .ldb = in,
                                .c = y.raw(),
                                .ldc = out,
                                .ab = dtype,
                                .c_dtype = dtype};
  const kernels::Matmul input{.m = t,
                              .n = in,
                              .k = out,
                              .a = dy.raw(),
                              .lda = out,
                              .b = w.raw(),
                              .ldb = in,
                              .b_transposed = false,
                              .c = dx.raw(),
                              .ldc = in,
                              .ab = dtype,
                              .c_dtype = dtype};
  const kernels::Matmul weight{.m = out,
                               .n = in,
                               .k = t,
                               .a = dy.raw(),
                               .lda = out,
                               .a_transposed = true,
                               .b = x.raw(),
                               .ldb = in,
                               .b_transposed = false,
                               .c = dw.raw(),
                               .ldc = in,
                               .ab = dtype,
                               .chunk = kernels::kWeightGradChunk};
  for (const auto& [what, p] : {std::pair{"y", forward}, {"dx", input}, {"dw", weight}}) {
    table.add({.name = fmt::format("{} {} {}", preset, layer.name, what),
               .shape = fmt::format("{} x {} x {}", p.m, p.n, p.k),
               .dtype = std::string(name_of(dtype)),
               .limit = peak_name(dtype),
               .work = 2 * static_cast<double>(t) * static_cast<double>(out) * static_cast<double>(in),
               .call = [&cx, p = p, x, w, dy, y, dx, dw] { kernels::run(cx, p); },
               .total = preset + ", all"});
  }
}

void run(Arguments a) {
  if (a.common.quick) {
    a.presets = {"tiny"};
    a.tokens = 48;
  }
  const Runtime runtime(a.common.threads);
  const kernels::Context& cx = runtime.context();
  BenchTable table("gemm", "FLOP/s", cx);
  for (const DType dtype : {DType::bf16, DType::f32}) {
    add_squares(table, cx, a.common, dtype);
    for (const std::string& preset : a.presets) {
      for (const Layer& layer : layers_of(model::preset(preset))) add_linear(table, cx, a.tokens, preset, layer, dtype);
    }
  }
  table.measure(a.common);
  table.print(a.common.json);
}

}  // namespace

void add_bench_gemm(Command bench) {
  auto a = std::make_shared<Arguments>();
  Command verb = bench.add_verb("gemm", "dense matmuls, squares and the shapes of models: share of the best square");
  add_bench_options(verb, a->common);
  verb.add_option("--preset", a->presets, "models whose shapes are run (" + model::preset_names() + ")")
      .shows_default();
  verb.add_option("--tokens", a->tokens, "rows of the batch").rule(whole(1, 1 << 20)).shows_default();
  verb.callback([a] { run(*a); });
}

}  // namespace hadal::cli
