// hadal bench decode: one sequence, token by token, as a share of the memory's read bandwidth, in both cache forms.
#include <CLI/CLI.hpp>

#include <memory>

#include "cli/bench_table.h"
#include "engine/bench.h"
#include "model/load.h"
#include "model/serve.h"

namespace hadal::cli {

namespace {

struct Arguments {
  BenchOptions common;
  std::string preset = "bench-100m";
  std::string dtype = "bf16";
  std::int64_t context = 512, tokens = 64;
};

void run(const Arguments& a) {
  ThreadPool pool(a.common.threads > 0 ? a.common.threads : available_cpus());
  kernels::Context cx(pool, kernels::default_isa());
  const model::Config config = model::preset(a.common.quick ? "tiny" : a.preset);
  model::CausalLm model(config, dtype_from_name(a.dtype));
  model::init_model(model, 1, config.initializer_range);
  model::pack_for_serving(cx, model);
  BenchTable table("decode", "B/s", cx);
  add_bandwidths(table, cx, (a.common.quick ? 1 : 1024) << 20, {"read"});
  BenchOptions third = a.common;  // the limit before, between and after the two forms
  third.seconds /= 3;
  table.measure(third);
  for (const nn::MlaForm form : {nn::MlaForm::latent, nn::MlaForm::expanded}) {
    const std::string name = form == nn::MlaForm::latent ? "latent cache" : "expanded cache";
    const engine::DecodeResult r =
        engine::bench_decode(cx, model, {form, a.common.quick ? 16 : a.context, a.common.quick ? 4 : a.tokens});
    table.add({.name = name,
               .shape = "context " + std::to_string(a.context),
               .dtype = a.dtype,
               .limit = "read",
               .work = r.bytes(),
               .best = r.seconds,
               .median = r.seconds});
    table.measure(third);
    table.note(name + ", share of time outside of kernels", 1 - r.profile.seconds() / r.profiled_seconds);
    for (const auto& [op, e] : r.profile.entries()) {
      table.note(name + ", share of time in " + op, e.seconds / r.profiled_seconds);
    }
    table.note(name + ", tokens/s", 1 / r.seconds);
    table.note(name + ", MB of weights a token", r.weight_bytes / 1e6);
    table.note(name + ", MB of cache a token", r.cache_bytes / 1e6);
  }
  table.print(a.common.json);
}

}  // namespace

void add_bench_decode(CLI::App& bench) {
  CLI::App* verb = bench.add_subcommand("decode", "token by token, as a share of the read bandwidth");
  auto a = std::make_shared<Arguments>();
  add_bench_options(*verb, a->common);
  verb->add_option("--preset", a->preset, "architecture (" + model::preset_names() + ")")->capture_default_str();
  verb->add_option("--dtype", a->dtype, "f32 or bf16")->capture_default_str();
  verb->add_option("--context", a->context, "positions in the cache")
      ->check(CLI::Range(1, 1 << 17))
      ->capture_default_str();
  verb->add_option("--tokens", a->tokens, "tokens whose median counts")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  verb->callback([a] { run(*a); });
}

}  // namespace hadal::cli
