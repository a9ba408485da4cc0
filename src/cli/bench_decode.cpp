// hadal bench decode: one sequence, token by token, as a share of the memory's read bandwidth, in both cache forms.
#include <algorithm>
#include <bit>
#include <chrono>
#include <memory>
#include <vector>

#include "cli/bench_table.h"
#include "cli/options.h"
#include "cli/runtime.h"
#include "engine/bench.h"
#include "kernels/machine.h"
#include "model/serve.h"

namespace hadal::cli {

namespace {

struct Arguments {
  BenchOptions common;
  std::string preset = "bench-100m";
  std::string dtype = "bf16";
  std::int64_t context = 512, tokens = 64, layers = 0;
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
    if (read.name != "read") continue;
    const std::string of = fmt::format("{:.0f} MiB", read.work / (1 << 20));
    table.note(f.name + ", best, share of the best read of " + of, r.bytes() / r.best / read.rate());
    table.note(f.name + ", median, share of the median read of " + of, r.bytes() / median / (read.work / read.median));
  }
  table.note(f.name + ", share of time outside of kernels", 1 - r.profile.seconds() / r.profiled_seconds);
  for (const auto& [op, e] : r.profile.entries()) {
    table.note(f.name + ", share of time in " + op, e.seconds / r.profiled_seconds);
  }
  table.note(f.name + ", tokens/s", 1 / median);
  table.note(f.name + ", MB of weights per token", r.weight_bytes / 1e6);
  table.note(f.name + ", MB of cache per token", r.cache_bytes / 1e6);
}

// Weights of both signs, in size around 2^-6 (1 for gains), from a counter: the numbers of init_model() would take
// minutes where there are billions.
void draw_weights(ThreadPool& pool, model::CausalLm& model) {
  constexpr std::int64_t kBlock = 1 << 16;
  std::uint64_t tensors = 0;
  model.visit([&](const nn::Parameter& p) {
    const Tensor& t = *p.value;
    const std::int64_t n = t.numel();
    const std::uint64_t first = ++tensors << 40U;
    const bool gain = p.kind == nn::ParameterKind::vector;
    pool.run((n + kBlock - 1) / kBlock, [&](std::int64_t block, int) {
      for (std::int64_t i = block * kBlock; i < std::min(n, (block + 1) * kBlock); ++i) {
        std::uint64_t bits = (first + static_cast<std::uint64_t>(i)) * 0x9E3779B97F4A7C15U;
        bits = (bits ^ bits >> 29U) * 0xBF58476D1CE4E5B9U;
        const auto half = static_cast<std::uint32_t>((bits >> 40U & 0x807FU) | 0x3C80U);
        const float v = gain ? 1.0f : std::bit_cast<float>(half << 16U);
        if (t.dtype() == DType::bf16) {
          t.data<bf16>()[i] = bf16(v);
        } else {
          t.data<float>()[i] = v;
        }
      }
    });
  });
}

void run(const Arguments& a) {
  ThreadPool pool(threads_or_all(a.common.threads));
  kernels::Context cx(pool, kernels::default_isa());
  model::Config config = model::preset(a.common.quick ? "tiny" : a.preset);
  if (a.layers > 0) config.num_hidden_layers = std::min(a.layers, config.num_hidden_layers);
  model::CausalLm model(config, dtype_from_name(a.dtype));
  draw_weights(pool, model);
  model::pack_for_serving(cx, model);
  BenchTable table("decode", "B/s", cx);
  add_reads(table, cx, a.common.quick ? 1 << 20 : kernels::memory_not_cache());
  if (!a.common.quick) {
    // As much as a token reads, too: what a large cache keeps of it counts for both sides.
    const engine::DecodeResult r = engine::bench_decode(cx, model, {nn::MlaForm::latent, a.context, 1});
    add_reads(table, cx, static_cast<std::int64_t>(r.bytes()));
  }
  std::vector<Form> forms{{"latent cache", nn::MlaForm::latent, {}, {}},
                          {"expanded cache", nn::MlaForm::expanded, {}, {}}};
  measure(cx, model, a, table, forms);
  for (const Form& f : forms) show(f, a, table);
  table.print(a.common.json);
}

}  // namespace

void add_bench_decode(Command bench) {
  Command verb = bench.add_verb("decode", "token by token, as a share of the read bandwidth");
  auto a = std::make_shared<Arguments>();
  add_bench_options(verb, a->common);
  verb.add_option("--preset", a->preset, "architecture (" + model::preset_names() + ")").shows_default();
  verb.add_option("--layers", a->layers, "the first so many layers alone; 0: all").rule(whole(0, 1000)).shows_default();
  verb.add_option("--dtype", a->dtype, "f32 or bf16").shows_default();
  verb.add_option("--context", a->context, "positions in the cache").rule(whole(1, 1 << 17)).shows_default();
  verb.add_option("--tokens", a->tokens, "tokens whose median counts").rule(whole(1, 4096)).shows_default();
  verb.callback([a] { run(*a); });
}

}  // namespace hadal::cli
