// A calibration runs the same step on a model of the same widths with a layer or two of each kind, and notes what each
// kind of kernel takes for a unit of its work (FLOPs, or elements); a dry step of the recipe says how much work there
// is.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "kernels/machine.h"
#include "model/accounting.h"
#include "train/dry_step.h"
#include "train/evaluate.h"
#include "train/plan.h"
#include "train/schedule.h"
#include "train/trainer.h"

namespace hadal::train {

namespace {

using Clock = std::chrono::steady_clock;
using kernels::Profile;
using Entries = std::map<std::string, Profile::Entry, std::less<>>;

// Small numbers of a fixed sequence, quickly: the time depends on the values only through the choice of experts.
void fill(const Tensor& t, std::uint32_t& state) {
  const auto each = [&](auto values) {
    for (auto& v : values) {
      state = state * 1664525u + 1013904223u;
      v = std::remove_cvref_t<decltype(v)>((static_cast<float>(state >> 8) / (1 << 24) - 0.5f) * 0.1f);
    }
  };
  t.dtype() == DType::bf16 ? each(t.span<bf16>()) : each(t.span<float>());
}

void fill(model::CausalLm& model) {
  std::uint32_t state = 1;
  model.visit([&](const nn::Parameter& p) {
    fill(*p.value, state);
    if (p.kind != nn::ParameterKind::vector) return;
    for (float& v : p.value->span<float>()) v += 1;
  });
}

struct Sample {
  model::Config config;
  Recipe recipe;
  bool fits = false;
};

// A dense layer, two MoE layers and an MTP module if the model has them; one micro-batch, of fewer rows if need be.
Sample sample_of(const kernels::Context& cx, const Recipe& recipe, const model::Config& config, std::size_t limit) {
  constexpr std::int64_t kTokens = 8192;  // enough for every kernel's full speed
  Sample s{config, recipe};
  const std::int64_t dense = config.n_routed_experts > 0
                                 ? std::min(config.first_k_dense_replace, config.num_hidden_layers)
                                 : config.num_hidden_layers;
  s.config.first_k_dense_replace = std::min<std::int64_t>(1, dense);
  s.config.num_hidden_layers =
      config.n_routed_experts > 0
          ? s.config.first_k_dense_replace + std::min<std::int64_t>(2, config.num_hidden_layers - dense)
          : std::min<std::int64_t>(2, dense);
  s.config.num_nextn_predict_layers = std::min<std::int64_t>(1, config.num_nextn_predict_layers);
  s.recipe.train.rows = recipe.train.micro_rows > 0 ? recipe.train.micro_rows : recipe.train.rows;
  s.recipe.train.rows = std::min(s.recipe.train.rows, std::max<std::int64_t>(1, kTokens / recipe.data.sequence_length));
  s.recipe.train.micro_rows = s.recipe.train.tokens = 0;
  for (; least_memory(s.recipe, s.config) <= limit; s.recipe.train.rows /= 2) {
    if (s.recipe.train.rows == 0) break;
    if (plan_memory(cx, s.recipe, s.config, 0).total() <= limit) {
      s.fits = true;
      break;
    }
  }
  return s;
}

std::vector<SourceRow> random_rows(const Sample& s) {
  std::vector<SourceRow> rows;
  std::uint32_t state = 7;
  for (std::int64_t r = 0; r < s.recipe.train.rows; ++r) {
    SourceRow& row = rows.emplace_back(SourceRow{{}, {0}});
    for (std::int64_t i = 0; i <= s.recipe.data.sequence_length; ++i) {
      state = state * 1664525u + 1013904223u;
      row.tokens.push_back(static_cast<std::int32_t>((state >> 8) % static_cast<std::uint32_t>(s.config.vocab_size)));
    }
  }
  return rows;
}

struct Measured {
  Entries kernels;     // of each the fastest of the measured steps
  double outside = 1;  // time of a step over that in kernels
  double validation_outside = 1;
};

// Takes over what a kernel did, if it was faster than before.
void keep_fastest(const Profile& profile, Entries& kernels) {
  for (const auto& [name, e] : profile.entries()) {
    const auto [at, first] = kernels.emplace(name, e);
    if (!first && e.seconds / e.work < at->second.seconds / at->second.work) at->second = e;
  }
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

void measure_validation(kernels::Context& cx, const model::CausalLm& model, const std::vector<SourceRow>& source,
                        Measured& m) {
  std::vector<std::vector<std::int32_t>> rows;
  rows.reserve(source.size());
  for (const SourceRow& row : source) rows.push_back(row.tokens);
  for (int i = 0; i < 2; ++i) {  // the first warms up
    Profile profile;
    cx.set_profile(&profile);
    const Clock::time_point start = Clock::now();
    evaluate(
        cx, model, rows, [](std::int32_t) { return 1; }, nullptr);
    m.validation_outside = seconds_since(start) / profile.seconds();
    if (i > 0) keep_fastest(profile, m.kernels);
  }
}

Measured measure(const kernels::Context& like, const Sample& s, bool validates) {
  kernels::Context cx(like.pool(), like.isa());
  model::CausalLm model(s.config, compute_type(s.recipe.model.dtype));
  fill(model);
  Optimizer optimizer(model, {.moments = dtype_from_name(s.recipe.optimizer.moments)});
  Ema ema(optimizer, s.recipe.optimizer.ema);
  const std::vector<SourceRow> rows = random_rows(s);
  Measured m;
  double all = 0, in_kernels = 0;
  constexpr int kSteps = 3;  // the first warms up
  for (int i = 0; i < kSteps; ++i) {
    Profile profile;
    cx.set_profile(&profile);
    StepMetrics metrics;
    metrics.lambda = s.recipe.mtp.lambda;
    const Clock::time_point start = Clock::now();
    run_batch({cx, model, optimizer, s.recipe, {}}, rows, metrics);
    const double norm = optimizer.grad_norm(cx);
    optimizer.step(cx, 1e-6, std::min(1.0, 1.0 / (norm + 1e-6)), i + 1);
    ema.update(cx, false);
    const double seconds = seconds_since(start);
    if (i == 0) continue;
    all += seconds;
    in_kernels += profile.seconds();
    keep_fastest(profile, m.kernels);
  }
  m.outside = all / in_kernels;
  if (validates) measure_validation(cx, model, rows, m);
  return m;
}

// Work of each kind of kernel in a step of the recipe.
Entries work_of_step(const kernels::Context& like, const Recipe& recipe, const model::Config& config) {
  std::int64_t micro = 1;
  double elements = 0;
  Recipe one = recipe;
  {
    const DryRun whole(like, recipe, config);
    micro = whole.micro_batches();
    one.train.rows = whole.rows() / micro;
    for (const TrainedParameter& p : whole.optimizer.parameters()) elements += static_cast<double>(p.master.numel());
  }
  // One micro-batch is walked, and counts for all.
  one.train.rows_start = one.train.micro_rows = one.train.tokens = 0;
  DryRun part(like, one, config);
  Profile batch, update;
  part.cx.set_profile(&batch);
  part.batch();
  part.cx.set_profile(&update);
  part.update();
  Entries all = batch.entries();
  for (auto& [name, e] : all) {
    e.work *= static_cast<double>(micro);
    e.flops *= static_cast<double>(micro);
  }
  for (const auto& [name, e] : update.entries()) all[name].work += e.work;
  all["add"].work += static_cast<double>(micro - 1) * elements;  // sums of micro-batches
  return all;
}

// Work of a validation of one row, by what several take.
Entries work_of_validation_row(const kernels::Context& like, const Recipe& recipe, const model::Config& config) {
  constexpr std::size_t kRows = 4;
  DryRun run(like, recipe, config);
  Profile profile;
  run.cx.set_profile(&profile);
  const auto rows = static_cast<double>(run.validate(kRows));
  Entries all = profile.entries();
  for (auto& [name, e] : all) e.work /= rows;
  return all;
}

double seconds_of(const Entries& work, const Measured& measured) {
  double seconds = 0;
  for (const auto& [name, e] : work) {
    if (const auto at = measured.kernels.find(name); at != measured.kernels.end())
      seconds += e.work * at->second.seconds / at->second.work;
  }
  return seconds;
}

// What the whole run takes, from the time of a step and of a row of a validation.
void add_up(const Recipe& recipe, const ValidationRows& rows, double row_seconds, TimePlan& plan) {
  plan.steps = schedules_of(recipe).rows.steps();
  const std::int64_t every = recipe.validation.every;
  plan.validation_seconds = static_cast<double>(rows.each) * row_seconds;
  if (rows.each > 0 && plan.steps > 0) {
    const double on_the_way = every > 0 ? std::ceil(plan.steps / static_cast<double>(every)) - 1 : 0;
    plan.validations = on_the_way + 2;
    plan.all_validations_seconds =
        on_the_way * plan.validation_seconds + 2 * static_cast<double>(rows.ends) * row_seconds;
  }
  plan.run_seconds = plan.steps * plan.seconds + plan.all_validations_seconds;
}

}  // namespace

TimePlan plan_time(const kernels::Context& cx, const Recipe& recipe, const model::Config& config, std::size_t limit,
                   const ValidationRows& validation) {
  TimePlan plan;
  plan.tokens = static_cast<double>(recipe.train.rows * recipe.data.sequence_length);
  plan.flops = plan.tokens * model::train_flops_per_token(config, recipe.data.sequence_length);
  plan.peak_flops = kernels::float_rate(cx.pool().size(), recipe.model.dtype == "f32" ? DType::f32 : DType::bf16);
  const Sample sample = sample_of(cx, recipe, config, limit);
  if (!sample.fits) {
    plan.seconds = plan.flops / (0.6 * plan.peak_flops);
    const double row_flops =
        static_cast<double>(recipe.data.sequence_length) * plan.flops / plan.tokens / 3;  // forward
    add_up(recipe, validation, row_flops / (0.6 * plan.peak_flops), plan);
    return plan;
  }
  plan.layers = sample.config.num_hidden_layers;
  plan.rows = sample.recipe.train.rows;
  const Measured measured = measure(cx, sample, validation.each > 0);
  double in_kernels = 0;
  for (const auto& [name, e] : work_of_step(cx, recipe, config)) {
    const auto at = measured.kernels.find(name);
    if (at == measured.kernels.end()) continue;
    const double seconds = e.work * at->second.seconds / at->second.work;
    in_kernels += seconds;
    plan.parts.push_back({name, seconds, e.flops});
  }
  plan.seconds = in_kernels * measured.outside;
  double row_seconds = 0;
  if (validation.each > 0)
    row_seconds = seconds_of(work_of_validation_row(cx, recipe, config), measured) * measured.validation_outside;
  add_up(recipe, validation, row_seconds, plan);
  plan.parts.push_back({"outside of kernels", plan.seconds - in_kernels, 0});
  std::sort(plan.parts.begin(), plan.parts.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  return plan;
}

}  // namespace hadal::train
