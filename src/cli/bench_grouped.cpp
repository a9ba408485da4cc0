// hadal bench grouped: the experts' ragged matmuls, forward and both gradients, as shares of the best dense square.
#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/rng.h"
#include "cli/bench_table.h"
#include "cli/options.h"
#include "cli/runtime.h"
#include "model/config.h"
#include "ops/dispatch.h"
#include "ops/gate.h"

namespace hadal::cli {

namespace {

struct Arguments {
  BenchOptions common;
  std::string preset = "bench-100m";
  std::int64_t tokens = 4096;
  double spread = 0.5;
};

// The model's own gate on random logits; `spread` of favour for some experts makes the loads uneven.
ops::Route random_route(const kernels::Context& cx, const Arguments& a, const model::Config& c) {
  const std::int64_t experts = c.n_routed_experts;
  Tensor logits = Tensor::empty({a.tokens, experts}, DType::f32);
  Rng favours(0, "bench favours"), noise(0, "bench logits");
  std::vector<double> favour;
  for (std::int64_t e = 0; e < experts; ++e) favour.push_back(a.spread * favours.normal());
  for (std::int64_t i = 0; i < logits.numel(); ++i)
    logits.data<float>()[i] = static_cast<float>(favour[static_cast<std::size_t>(i % experts)] + noise.normal());
  ops::GateSettings s;
  s.top_k = c.num_experts_per_tok;
  if (c.n_group > 1) {
    s.group_score = kernels::GroupScore::top2_sum;
    s.groups = c.n_group;
    s.top_groups = c.topk_group;
  }
  return ops::route(ops::gate(cx, logits, Tensor(), s, Tensor(), {}).ids_TK, experts);
}

// One projection of all experts, w (E, out, in): forward and both gradients.
void add_projection(BenchTable& table, const kernels::Context& cx, const Tensor& offsets_E1, const std::string& name,
                    std::int64_t out, std::int64_t in, DType dtype) {
  const std::int32_t* offsets = offsets_E1.data<std::int32_t>();
  const std::int64_t experts = offsets_E1.size(0) - 1, rows = offsets[experts];
  const Tensor x = random_tensor({rows, in}, dtype), w = random_tensor({experts, out, in}, dtype),
               dy = random_tensor({rows, out}, dtype), y = Tensor::empty({rows, out}, dtype),
               dx = Tensor::empty({rows, in}, dtype), dw = Tensor::zeros({experts, out, in}, DType::f32);
  const kernels::GroupedMatmul forward{.groups = experts,
                                       .n = out,
                                       .k = in,
                                       .offsets = offsets,
                                       .a = x.raw(),
                                       .lda = in,
                                       .b = w.raw(),
                                       .c = y.raw(),
                                       .ldc = out,
                                       .ab = dtype,
                                       .c_dtype = dtype};
  const kernels::GroupedMatmul input{.groups = experts,
                                     .n = in,
                                     .k = out,
                                     .offsets = offsets,
                                     .a = dy.raw(),
                                     .lda = out,
                                     .b = w.raw(),
                                     .b_transposed = false,
                                     .c = dx.raw(),
                                     .ldc = in,
                                     .ab = dtype,
                                     .c_dtype = dtype};
  const kernels::GroupedWeightGrad weight{.groups = experts,
                                          .n = out,
                                          .k = in,
                                          .offsets = offsets,
                                          .dy = dy.raw(),
                                          .x = x.raw(),
                                          .dw = dw.data<float>(),
                                          .ab = dtype,
                                          .accumulate = false};
  const auto add = [&](const char* what, const char* total, const std::function<void()>& call) {
    table.add({.name = fmt::format("{} {}", name, what),
               .shape = fmt::format("{} rows, {} -> {}", rows, in, out),
               .dtype = std::string(name_of(dtype)),
               .limit = peak_name(dtype),
               .work = 2 * static_cast<double>(rows) * static_cast<double>(out) * static_cast<double>(in),
               .call = call,
               .total = total});
  };
  add("y", "forward", [&cx, forward, offsets_E1, x, w, y] { kernels::run(cx, forward); });
  add("dx", "gradient of x", [&cx, input, offsets_E1, dy, w, dx] { kernels::run(cx, input); });
  add("dw", "gradient of w", [&cx, weight, offsets_E1, dy, x, dw] { kernels::run(cx, weight); });
}

// The loads of the most and the least used expert over the mean.
void note_loads(BenchTable& table, std::span<const std::int32_t> offsets) {
  std::int32_t largest = 0, smallest = offsets.back();
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e) {
    largest = std::max(largest, offsets[e + 1] - offsets[e]);
    smallest = std::min(smallest, offsets[e + 1] - offsets[e]);
  }
  const double mean = static_cast<double>(offsets.back()) / static_cast<double>(offsets.size() - 1);
  table.note("largest load / mean", largest / mean);
  table.note("smallest load / mean", smallest / mean);
}

void run(Arguments a) {
  if (a.common.quick) {
    a.preset = "tiny";
    a.tokens = 48;
  }
  const Runtime runtime(a.common.threads);
  const kernels::Context& cx = runtime.context();
  const model::Config c = model::preset(a.preset);
  if (c.n_routed_experts == 0) fail("preset {} has no experts", a.preset);
  const Tensor offsets_E1 = random_route(cx, a, c).offsets_E1;
  BenchTable table("grouped", "FLOP/s", cx);
  note_loads(table, offsets_E1.span<std::int32_t>());
  for (const DType dtype : {DType::bf16, DType::f32}) {
    add_squares(table, cx, a.common, dtype);
    add_projection(table, cx, offsets_E1, "w1", c.moe_intermediate_size, c.hidden_size, dtype);
    add_projection(table, cx, offsets_E1, "w3", c.moe_intermediate_size, c.hidden_size, dtype);
    add_projection(table, cx, offsets_E1, "w2", c.hidden_size, c.moe_intermediate_size, dtype);
  }
  table.measure(a.common);
  table.print(a.common.json);
}

}  // namespace

void add_bench_grouped(Command bench) {
  auto a = std::make_shared<Arguments>();
  Command verb = bench.add_verb("grouped", "the experts' matmuls and their gradients: share of the best dense square");
  add_bench_options(verb, a->common);
  verb.add_option("--preset", a->preset, "model whose experts are run (" + model::preset_names() + ")").shows_default();
  verb.add_option("--tokens", a->tokens, "rows of the batch").rule(whole(1, 1 << 20)).shows_default();
  verb.add_option("--spread", a->spread, "how uneven the loads are: 0 about even, 0.5 as early in training")
      .rule(real(0, 10))
      .shows_default();
  verb.callback([a] { run(*a); });
}

}  // namespace hadal::cli
