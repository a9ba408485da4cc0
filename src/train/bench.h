// Speed of the real training step of a configuration, on random tokens.
#pragma once

#include <vector>

#include "kernels/context.h"
#include "kernels/profile.h"
#include "model/config.h"
#include "nn/input.h"

namespace hadal::train {

struct BenchSettings {
  model::Config config;
  DType compute = DType::bf16;  // as model::CausalLm takes it
  std::int64_t rows = 4, sequence = 1024;
  int warmup = 2, steps = 8;
  bool peak = true;  // measure the rates of the machine and of matmuls, too
};

struct BenchResult {
  double seconds = 0, mean = 0;  // of the median step, of the mean one
  double tokens_per_s = 0;       // at the median step
  double peak_flops = 0;         // of the machine's instructions on the same threads (kernels::float_rate)
  double share_of_peak = 0;      // MFU: tokens_per_s * train_flops_per_token / peak_flops
  double gemm_flops = 0;         // hadal's own best of 1024³ to 4096³
  double flops_per_token = 0;    // SPEC: 6 x active matmul parameters + attention
  double profiled_seconds = 0;   // of the one step that was profiled
  kernels::Profile profile;      // of that step; what its kernels leave is spent outside of kernels
  // The most at one time in all steps: of tensors and scratch as counted, and of the process as the system sees it.
  std::size_t tensor_bytes = 0, resident_bytes = 0;
  std::vector<double> losses;  // of every step, warm-up first
};

// Forward, backward, clipping, AdamW and gate-bias update, step after step.
BenchResult bench_training(kernels::Context& cx, const BenchSettings& settings);

// Most bytes of tensors and scratch that forward and backward of one such step hold above model and optimizer.
// Measured: the step is run.
std::size_t bytes_of_step(const kernels::Context& cx, const BenchSettings& settings, nn::Recompute recompute);

}  // namespace hadal::train
