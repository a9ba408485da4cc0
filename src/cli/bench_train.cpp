// hadal bench train: the real training step as a share of the matmul peak of the same run, and where its time goes.
#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "cli/bench.h"
#include "cli/json_out.h"
#include "cli/options.h"
#include "cli/runtime.h"
#include "train/bench.h"
#include "train/recipe.h"

namespace hadal::cli {

namespace {

struct Arguments {
  BenchOptions common;
  std::string preset = "bench-100m", dtype = "bf16";
  std::int64_t rows = 4, sequence = 1024;
  int steps = 8, warmup = 2;
};

using Entry = std::pair<std::string, kernels::Profile::Entry>;

std::vector<Entry> by_time(const train::BenchResult& r) {
  std::vector<Entry> all(r.profile.entries().begin(), r.profile.entries().end());
  all.push_back({"outside of kernels", {.seconds = r.profiled_seconds - r.profile.seconds()}});
  std::sort(all.begin(), all.end(), [](const Entry& a, const Entry& b) { return a.second.seconds > b.second.seconds; });
  return all;
}

json to_json(const Arguments& a, const train::BenchResult& r, const kernels::Context& cx) {
  json ops;
  for (const auto& [name, e] : by_time(r)) {
    ops[name] = {{"share_of_time", e.seconds / r.profiled_seconds},
                 {"share_of_peak", e.flops / e.seconds / r.peak_flops},
                 {"calls", e.calls}};
  }
  return {{"bench", "train"},
          {"isa", kernels::name_of(cx.isa())},
          {"threads", cx.pool().size()},
          {"preset", a.preset},
          {"dtype", a.dtype},
          {"tokens_per_step", a.rows * a.sequence},
          {"tokens_per_s", r.tokens_per_s},
          {"step_seconds", r.seconds},
          {"flops_per_token", r.flops_per_token},
          {"peak_flops", r.peak_flops},
          {"share_of_peak", r.share_of_peak},
          {"gemm_flops", r.gemm_flops},
          {"peak_tensor_bytes", r.tensor_bytes},
          {"peak_resident_bytes", r.resident_bytes},
          {"losses", r.losses},
          {"ops", ops}};
}

void print(const train::BenchResult& r) {
  const double rate = r.share_of_peak * r.peak_flops;
  fmt::print("MFU {:.1f} %  ({:.0f} of {:.0f} GFLOP/s), {:.0f} tokens/s, {:.3f} s per step\n", 100 * r.share_of_peak,
             rate / 1e9, r.peak_flops / 1e9, r.tokens_per_s, r.seconds);
  fmt::print("hadal's own square matmuls: {:.0f} GFLOP/s, {:.1f} % of the peak\n", r.gemm_flops / 1e9,
             100 * r.gemm_flops / r.peak_flops);
  fmt::print("peak memory: tensors {:.3f} GiB, resident {:.3f}\n\n", static_cast<double>(r.tensor_bytes) / (1 << 30),
             static_cast<double>(r.resident_bytes) / (1 << 30));
  fmt::print("{:<34}{:>8}{:>16}{:>8}\n", "op", "time", "share of peak", "calls");
  for (const auto& [name, e] : by_time(r)) {
    const std::string share = e.flops > 0 ? fmt::format("{:.1f} %", 100 * e.flops / e.seconds / r.peak_flops) : "-";
    fmt::print("{:<34}{:>6.1f} %{:>16}{:>8}\n", name, 100 * e.seconds / r.profiled_seconds, share, e.calls);
  }
}

void run(Arguments a) {
  if (a.common.quick) {
    a.preset = "tiny";
    a.rows = 2;
    a.sequence = 16;
    a.steps = a.warmup = 1;
  }
  ThreadPool pool(threads_or_all(a.common.threads));
  kernels::Context cx(pool, kernels::default_isa());
  const train::BenchResult r = train::bench_training(cx, {.config = model::preset(a.preset),
                                                          .compute = train::compute_type(a.dtype),
                                                          .rows = a.rows,
                                                          .sequence = a.sequence,
                                                          .warmup = a.warmup,
                                                          .steps = a.steps});
  if (a.common.json) {
    print_json(to_json(a, r, cx));
  } else {
    print(r);
  }
}

}  // namespace

void add_bench_train(Command bench) {
  Command verb = bench.add_verb("train", "the training step as a share of the matmul peak");
  auto a = std::make_shared<Arguments>();
  add_bench_options(verb, a->common);
  verb.add_option("--preset", a->preset, "architecture (" + model::preset_names() + ")").shows_default();
  verb.add_option("--dtype", a->dtype, "f32, bf16 or fp8").shows_default();
  verb.add_option("--rows", a->rows, "rows of a step").rule(whole(1, 4096)).shows_default();
  verb.add_option("--sequence", a->sequence, "tokens of a row").rule(whole(2, 1 << 20)).shows_default();
  verb.add_option("--steps", a->steps, "steps whose median counts").rule(whole(1, 1000)).shows_default();
  verb.add_option("--warmup", a->warmup, "steps before them").rule(whole(0, 1000)).shows_default();
  verb.callback([a] { run(*a); });
}

}  // namespace hadal::cli
