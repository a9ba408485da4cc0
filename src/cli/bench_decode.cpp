// hadal bench decode: one sequence, token by token, as a share of the memory's read bandwidth, in both cache forms.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <vector>

#include "cli/bench_table.h"
#include "cli/options.h"
#include "cli/runtime.h"
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

struct Form {
  std::string name;
  nn::MlaForm form;
  engine::DecodeResult best;    // the round with the best token
  std::vector<double> medians;  // of every round
};

// The two forms and the limits take turns: the best token is compared with the best read, the median with the median.
void measure(kernels::Context& cx, const model::CausalLm& model, const Arguments& a, BenchTable& table,
             std::vector<Form>& forms) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  BenchOptions turn = a.common;
  turn.seconds = 0;  // the least number of rounds
  for (int round = 0; round == 0 || (!a.common.quick && (round < 3 || elapsed() < a.common.seconds)); ++round) {
    for (Form& f : forms) {
      table.measure(turn);
      const engine::DecodeResult r =
          engine::bench_decode(cx, model, {f.form, a.common.quick ? 16 : a.context, a.common.quick ? 4 : a.tokens});
      f.medians.push_back(r.median);
      if (f.best.best == 0 || r.best < f.best.best) f.best = r;
    }
  }
  table.measure(turn);
}

void show(const Form& f, const Arguments& a, BenchTable& table) {
  std::vector<double> medians = f.medians;
  std::sort(medians.begin(), medians.end());
  const double median = medians[medians.size() / 2];
  const engine::DecodeResult& r = f.best;
  table.add({.name = f.name,
             .shape = "context " + std::to_string(a.context),
             .dtype = a.dtype,
             .limit = "read",
             .work = r.bytes(),
             .best = r.best,
             .median = median});
  for (const BenchRow& read : table.rows()) {
    if (read.name != "plain read") continue;
    table.note(f.name + ", best, share of the best read of " + read.shape, r.bytes() / r.best / read.rate());
    table.note(f.name + ", median, share of the median read of " + read.shape,
               r.bytes() / median / (read.work / read.median));
  }
  table.note(f.name + ", share of time outside of kernels", 1 - r.profile.seconds() / r.profiled_seconds);
  for (const auto& [op, e] : r.profile.entries()) {
    table.note(f.name + ", share of time in " + op, e.seconds / r.profiled_seconds);
  }
  table.note(f.name + ", tokens/s", 1 / median);
  table.note(f.name + ", MB of weights per token", r.weight_bytes / 1e6);
  table.note(f.name + ", MB of cache per token", r.cache_bytes / 1e6);
}

void run(const Arguments& a) {
  ThreadPool pool(threads_or_all(a.common.threads));
  kernels::Context cx(pool, kernels::default_isa());
  const model::Config config = model::preset(a.common.quick ? "tiny" : a.preset);
  model::CausalLm model(config, dtype_from_name(a.dtype));
  model::init_model(model, 1, config.initializer_range);
  model::pack_for_serving(cx, model);
  BenchTable table("decode", "B/s", cx);
  add_bandwidths(table, cx, (a.common.quick ? 1 : 1024) << 20, {"read"});
  if (!a.common.quick) {
    // As much as a token reads, too: what a large cache keeps of it counts for both sides.
    const engine::DecodeResult r = engine::bench_decode(cx, model, {nn::MlaForm::latent, a.context, 1});
    add_bandwidths(table, cx, static_cast<std::int64_t>(r.bytes()), {"read"});
  }
  std::vector<Form> forms{{"latent cache", nn::MlaForm::latent, {}, {}},
                          {"expanded cache", nn::MlaForm::expanded, {}, {}}};
  measure(cx, model, a, table, forms);
  for (const Form& f : forms) show(f, a, table);
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
      ->transform(whole(1, 1 << 17))
      ->capture_default_str();
  verb->add_option("--tokens", a->tokens, "tokens whose median counts")
      ->transform(whole(1, 4096))
      ->capture_default_str();
  verb->callback([a] { run(*a); });
}

}  // namespace hadal::cli
