// hadal bench grouped: the experts' ragged matmuls, forward and both gradients, as shares of the best dense square.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/rng.h"
#include "cli/bench_table.h"
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

// One projection of all experts: w (E, out, in).
std::vector<BenchRow> projection_rows(const kernels::Context& cx, const Arguments& a, const ops::Route& route,
                                      const std::string& name, std::int64_t out, std::int64_t in, DType dtype) {
  const std::int32_t* offsets = route.offsets_E1.data<std::int32_t>();
  const std::int64_t experts = route.offsets_E1.size(0) - 1, rows = offsets[experts];
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
                                          .ab = dtype};
  const auto row = [&](const char* what, const std::function<void()>& f) {
    return BenchRow{fmt::format("{} {}", name, what),
                    fmt::format("{} rows, {} -> {}", rows, in, out),
                    std::string(name_of(dtype)),
                    fmt::format("{} peak", name_of(dtype)),
                    2.0 * static_cast<double>(rows) * static_cast<double>(out) * static_cast<double>(in),
                    time_calls(a.common, f)};
  };
  return {row("y", [&] { kernels::run(cx, forward); }), row("dx", [&] { kernels::run(cx, input); }),
          row("dw", [&] { kernels::run(cx, weight); })};
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
  const ops::Route route = random_route(cx, a, c);
  const std::span<const std::int32_t> offsets = route.offsets_E1.span<std::int32_t>();
  std::int64_t largest = 0, smallest = a.tokens;
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e) {
    largest = std::max<std::int64_t>(largest, offsets[e + 1] - offsets[e]);
    smallest = std::min<std::int64_t>(smallest, offsets[e + 1] - offsets[e]);
  }
  const double mean = static_cast<double>(offsets.back()) / static_cast<double>(c.n_routed_experts);
  BenchTable table("grouped", "FLOP/s", cx);
  table.note("largest load / mean", static_cast<double>(largest) / mean);
  table.note("smallest load / mean", static_cast<double>(smallest) / mean);
  for (const DType dtype : {DType::bf16, DType::f32}) {
    const std::string peak = fmt::format("{} peak", name_of(dtype));
    table.limit(peak, gemm_peak(measure_squares(cx, a.common, dtype)));
    std::vector<BenchRow> all[3];  // y, dx, dw; w3 is as w1
    for (const char* name : {"w1", "w3", "w2"}) {
      const bool down = name[1] == '2';
      const std::int64_t out = down ? c.hidden_size : c.moe_intermediate_size,
                         in = down ? c.moe_intermediate_size : c.hidden_size;
      const std::vector<BenchRow> rows = projection_rows(cx, a, route, name, out, in, dtype);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        table.row(rows[i]);
        all[i].push_back(rows[i]);
      }
    }
    const char* names[] = {"forward", "gradient of x", "gradient of w"};
    std::vector<BenchRow> everything;
    for (int i = 0; i < 3; ++i) {
      table.total(fmt::format("{} {}", name_of(dtype), names[i]), peak, all[i]);
      everything.insert(everything.end(), all[i].begin(), all[i].end());
    }
    table.total(fmt::format("{} all", name_of(dtype)), peak, everything);
  }
  table.print(a.common.json);
}

}  // namespace

void add_bench_grouped(CLI::App& bench) {
  auto a = std::make_shared<Arguments>();
  CLI::App* verb =
      bench.add_subcommand("grouped", "the experts' matmuls and their gradients: share of the best dense square");
  add_bench_options(*verb, a->common);
  verb->add_option("--preset", a->preset, "model whose experts are run (" + model::preset_names() + ")")
      ->capture_default_str();
  verb->add_option("--tokens", a->tokens, "rows of the batch")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  verb->add_option("--spread", a->spread, "how uneven the loads are: 0 about even, 0.5 as early in training")
      ->check(CLI::Range(0.0, 10.0))
      ->capture_default_str();
  verb->callback([a] { run(*a); });
}

}  // namespace hadal::cli
