#include "train/bench.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/rng.h"
#include "kernels/machine.h"
#include "model/accounting.h"
#include "model/load.h"
#include "train/metrics.h"
#include "train/objective.h"
#include "train/optimizer.h"
#include "train/trainer.h"

namespace hadal::train {

namespace {

using Clock = std::chrono::steady_clock;

TrainRows random_rows(const BenchSettings& s, std::uint64_t step) {
  TrainRows rows;
  for (std::int64_t r = 0; r < s.rows; ++r) {
    std::vector<std::int32_t>& row = rows.tokens.emplace_back();
    Rng random(1, step, static_cast<std::uint64_t>(r));
    for (std::int64_t i = 0; i <= s.sequence; ++i) {
      row.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(s.config.vocab_size))));
    }
  }
  return rows;
}

ObjectiveResult gradients(const kernels::Context& cx, model::CausalLm& model, Optimizer& optimizer,
                          const TrainRows& rows, nn::Recompute recompute) {
  const ObjectiveSettings s{.mtp_lambda = 0.3,
                            .balance_alpha = 1e-4,
                            .global_tokens = rows.loss_tokens(),
                            .global_rows = static_cast<std::int64_t>(rows.tokens.size()),
                            .recompute = recompute};
  optimizer.zero_grads();
  autograd::Tape tape(cx);
  const Watch watch(tape, optimizer);
  return run_objective(cx, model, rows, s);
}

double train_step(const kernels::Context& cx, model::CausalLm& model, Optimizer& optimizer, const TrainRows& rows,
                  std::int64_t step) {
  const ObjectiveResult result = gradients(cx, model, optimizer, rows, nn::Recompute::none);
  const double norm = optimizer.grad_norm(cx);
  optimizer.step(cx, 3e-4, std::min(1.0, 1.0 / (norm + 1e-6)), step);
  const std::vector<Tensor> biases = model.gate_biases();
  for (std::size_t b = 0; b < biases.size(); ++b) update_gate_bias(biases[b], result.loads_LE[b], 1e-3);
  return result.main;
}

// Operations a second of the matmul kernel, at its best square size.
double gemm_rate(const kernels::Context& cx, DType act) {
  double best = 0;
  const bool slow = cx.isa() == kernels::Isa::ref;
  for (std::int64_t n = slow ? 64 : 1024; n <= (slow ? 64 : 4096); n *= 2) {
    const Tensor a = Tensor::zeros({n, n}, act), b = Tensor::zeros({n, n}, act), c = Tensor::empty({n, n}, act);
    for (int i = 0; i < 4; ++i) {
      const auto start = std::chrono::steady_clock::now();
      kernels::run(cx, kernels::Matmul{.m = n,
                                       .n = n,
                                       .k = n,
                                       .a = a.raw(),
                                       .lda = n,
                                       .b = b.raw(),
                                       .ldb = n,
                                       .c = c.raw(),
                                       .ldc = n,
                                       .ab = act,
                                       .c_dtype = act});
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      best = std::max(best, 2.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n) / seconds);
    }
  }
  return best;
}

}  // namespace

BenchResult bench_training(kernels::Context& cx, const BenchSettings& s) {
  BenchResult r;
  model::CausalLm model(s.config, s.compute);
  model::init_model(model, 1, s.config.initializer_range, 0);
  Optimizer optimizer(model, {});
  std::vector<double> seconds;
  const int all = s.warmup + s.steps + 1;
  for (int i = 0; i < all; ++i) {
    const bool profiled = i == all - 1;
    const TrainRows rows = random_rows(s, static_cast<std::uint64_t>(i));
    if (profiled) cx.set_profile(&r.profile);
    const Clock::time_point start = Clock::now();
    r.losses.push_back(train_step(cx, model, optimizer, rows, i + 1));
    const double t = std::chrono::duration<double>(Clock::now() - start).count();
    cx.set_profile(nullptr);
    if (profiled) r.profiled_seconds = t;
    if (i >= s.warmup && !profiled) seconds.push_back(t);
  }
  r.mean = std::accumulate(seconds.begin(), seconds.end(), 0.0) / static_cast<double>(seconds.size());
  std::sort(seconds.begin(), seconds.end());
  r.seconds = seconds[seconds.size() / 2];
  r.tensor_bytes = tensor_memory().peak;
  r.resident_bytes = static_cast<std::size_t>(peak_memory_gib() * (1 << 30));
  if (s.peak) {
    r.peak_flops = kernels::float_rate(cx.pool().size(), model.act());
    r.gemm_flops = gemm_rate(cx, model.act());
  }
  r.flops_per_token = model::train_flops_per_token(s.config, s.sequence);
  r.tokens_per_s = static_cast<double>(s.rows * s.sequence) / r.seconds;
  if (s.peak) r.share_of_peak = r.tokens_per_s * r.flops_per_token / r.peak_flops;
  return r;
}

std::size_t bytes_of_step(const kernels::Context& like, const BenchSettings& s, nn::Recompute recompute) {
  const kernels::Context cx(like.pool(), like.isa());  // whose scratch grows in this step
  model::CausalLm model(s.config, s.compute);
  model::init_model(model, 1, s.config.initializer_range, 0);
  Optimizer optimizer(model, {});
  const TrainRows rows = random_rows(s, 0);
  reset_tensor_peak();
  const std::size_t before = tensor_memory().live;
  gradients(cx, model, optimizer, rows, recompute);
  return tensor_memory().peak - before;
}

}  // namespace hadal::train
