// The plan's walk against a run that is counted: same code, same sizes, whatever the family, the recompute and the
// dtypes.
#include "train/plan.h"

#include <gtest/gtest.h>

#include "base/memory_limit.h"
#include "kernels/dry.h"
#include "support/random_model.h"
#include "train/batch.h"
#include "train/ema.h"
#include "train/schedule.h"
#include "train/trainer.h"

namespace hadal {
namespace {

using train::MemoryPlan;
using train::Recipe;

struct Case {
  std::string name;
  model::Config config;
  std::vector<std::string> settings;
};

model::Config wide_v3() {
  model::Config c = model::preset("tiny");
  c.vocab_size = 700;
  return c;
}

model::Config v2() {
  model::Config c = wide_v3();
  c.family = model::Family::deepseek_v2;
  c.topk_method = model::TopkMethod::group_limited_greedy;
  c.scoring_func = model::Scoring::softmax;
  c.q_lora_rank = 0;
  c.num_nextn_predict_layers = 0;
  return c;
}

model::Config dense(model::Family family) {
  model::Config c;
  c.family = family;
  c.vocab_size = 700;
  c.hidden_size = 128;
  c.num_hidden_layers = 3;
  c.num_attention_heads = 4;
  c.num_key_value_heads = 2;
  c.head_dim = 32;
  c.attention_bias = family == model::Family::qwen2;
  c.tie_word_embeddings = family == model::Family::qwen2;
  c.intermediate_size = 300;
  c.max_position_embeddings = 1024;
  return c;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* recompute : {"none", "selective", "blocks"}) {
    const std::string set = std::string("train.recompute=") + recompute;
    all.push_back({"v3 " + set, wide_v3(), {set}});
    all.push_back({"v2 " + set, v2(), {set}});
    all.push_back({"qwen2 " + set, dense(model::Family::qwen2), {set}});
  }
  all.push_back({"llama", dense(model::Family::llama), {}});
  all.push_back({"bf16 moments", wide_v3(), {"optimizer.moments=bf16"}});
  all.push_back({"average", wide_v3(), {"optimizer.ema=0.99"}});
  all.push_back({"f32", wide_v3(), {"model.dtype=f32"}});
  all.push_back({"two micro-batches", wide_v3(), {"train.micro_rows=4"}});
  all.push_back({"eight micro-batches", wide_v3(), {"train.micro_rows=1"}});
  return all;
}

Recipe recipe_of(const Case& c) {
  std::vector<std::string> settings = {"data.sequence_length=128", "train.rows=8"};
  settings.insert(settings.end(), c.settings.begin(), c.settings.end());
  return train::load_recipe({}, settings);
}

// The most that the tensors of two real steps take.
std::size_t counted(ThreadPool& pool, const Recipe& r, const model::Config& config) {
  const std::size_t before = tensor_memory().live;
  const kernels::Context cx(pool, kernels::default_isa());
  model::CausalLm model(config, train::compute_type(r.model.dtype));
  test::Random random(3);
  test::randomise(model, random);
  train::Optimizer optimizer(model, {.moments = dtype_from_name(r.optimizer.moments)});
  train::Ema ema(optimizer, r.optimizer.ema);
  reset_tensor_peak();
  for (int step = 1; step <= 2; ++step) {
    std::vector<train::SourceRow> rows;
    for (std::int64_t i = 0; i < r.train.rows; ++i)
      rows.push_back({test::random_tokens(random, r.data.sequence_length + 1, config.vocab_size), {0}});
    train::StepMetrics m;
    m.lambda = 0.3;
    train::run_batch({cx, model, optimizer, r, {}}, rows, m);
    optimizer.grad_norm(cx);
    optimizer.step(cx, 1e-4, 1, step);
    ema.update(cx, false);
  }
  return tensor_memory().peak - before;
}

TEST(Plan, WalkCountsWhatARunTakes) {
  ThreadPool pool(2);
  const kernels::Context cx(pool, kernels::default_isa());
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const Recipe r = recipe_of(c);
    const MemoryPlan plan = train::plan_memory(cx, r, c.config, 0);
    const auto run = static_cast<double>(counted(pool, r, c.config));
    // The sizes of tensors are those of the run; what differs is scratch that grows with an expert's load, which a walk
    // takes as even.
    const double uneven = static_cast<double>(plan.scratch);
    EXPECT_NEAR(static_cast<double>(plan.tensors()), run, uneven);
    EXPECT_NEAR(static_cast<double>(plan.tensors()) / run, 1, 0.05);
  }
}

TEST(Plan, WalkLeavesNothingBehind) {
  ThreadPool pool(1);
  const kernels::Context cx(pool, kernels::default_isa());
  const MemoryCount before = tensor_memory();
  const Recipe r = recipe_of({});
  const MemoryPlan plan = train::plan_memory(cx, r, wide_v3(), 3);
  EXPECT_EQ(tensor_memory().live, before.live);
  EXPECT_EQ(tensor_memory().peak, before.peak);  // no tensor of the walk was one of the process
  std::size_t sum = 0;
  for (const auto& [name, bytes] : plan.parts()) sum += bytes;
  EXPECT_EQ(sum, plan.total());
}

TEST(Plan, ModelsFarTooLargeAreWalkedInNoMemory) {
  ThreadPool pool(1);
  const kernels::Context cx(pool, kernels::default_isa());
  const Recipe r = train::load_recipe({}, {"data.sequence_length=128", "train.rows=1"});
  model::Config v3 = model::preset("v3");
  v3.max_position_embeddings = 128;
  const std::size_t before = peak_resident_bytes();
  const MemoryPlan plan = train::plan_memory(cx, r, v3, 0);
  EXPECT_LT(peak_resident_bytes() - before, std::size_t{256} << 20);
  // 671B parameters and 11.5B of the MTP module: 2 + 4 + 8 bytes each, and a gradient of 4.
  EXPECT_GT(plan.total(), std::size_t{11} << 40);
  EXPECT_LE(train::least_memory(r, v3), plan.total());
}

TEST(Plan, RemediesFitAndAreTheFewest) {
  ThreadPool pool(2);
  const kernels::Context cx(pool, kernels::default_isa());
  const Recipe r = recipe_of({});
  const model::Config config = wide_v3();
  const std::size_t whole = train::plan_memory(cx, r, config, 0).total(), other = 1000;
  const auto mild = train::remedies(cx, r, config, 0, other, whole + other - 1);
  ASSERT_GE(mild.size(), 2u);  // recompute, and smaller micro-batches
  EXPECT_EQ(mild[0].settings, std::vector<std::string>{"train.recompute=\"selective\""});
  EXPECT_EQ(mild[1].settings, std::vector<std::string>{"train.micro_rows=4"});
  for (const train::Remedy& remedy : mild) {
    std::vector<std::string> settings = {"data.sequence_length=128", "train.rows=8"};
    settings.insert(settings.end(), remedy.settings.begin(), remedy.settings.end());
    const Recipe mended = train::load_recipe({}, settings);  // as a user would give it
    EXPECT_EQ(train::plan_memory(cx, mended, config, 0).total() + other, remedy.bytes);
    EXPECT_LT(remedy.bytes, whole + other);
  }
  EXPECT_TRUE(train::remedies(cx, r, config, 0, 0, whole / 1000).empty());
}

TEST(Plan, TimeIsThatOfAllTheWork) {
  ThreadPool pool(1);
  const kernels::Context cx(pool, kernels::default_isa());
  const model::Config config = wide_v3();
  const Recipe r = train::load_recipe({}, {"data.sequence_length=64", "train.rows=4", "train.micro_rows=2"});
  const train::TimePlan plan = train::plan_time(cx, r, config, std::size_t{4} << 30, {});
  EXPECT_EQ(plan.layers, 3);
  EXPECT_EQ(plan.rows, 2);
  double flops = 0, seconds = 0;
  for (const auto& part : plan.parts) {
    flops += part.flops;
    seconds += part.seconds;
  }
  EXPECT_NEAR(seconds, plan.seconds, 1e-9 * plan.seconds);
  // The walk's FLOPs are those of the accounting, but for MTP rows one token shorter and the causal mask, whose half
  // counts for the accounting, too.
  EXPECT_NEAR(flops / plan.flops, 1, 0.05);
  const train::TimePlan none = train::plan_time(cx, r, config, 1 << 20, {});
  EXPECT_EQ(none.layers, 0);
  EXPECT_GT(none.seconds, 0);
}

TEST(Plan, ValidationsCount) {
  ThreadPool pool(1);
  const kernels::Context cx(pool, kernels::default_isa());
  const Recipe r = train::load_recipe({}, {"data.sequence_length=64", "train.rows=4", "train.tokens=2560",
                                           "validation.every=3", "validation.full=true"});
  const train::ValidationRows rows = train::validation_rows(r, 100);
  EXPECT_EQ(rows.each, 64u);
  EXPECT_EQ(rows.ends, 100u);
  const train::TimePlan plan = train::plan_time(cx, r, wide_v3(), std::size_t{4} << 30, rows);
  EXPECT_EQ(plan.steps, 10);
  EXPECT_EQ(plan.validations, 5);  // before the first step, after steps 3, 6 and 9, and at the end
  EXPECT_GT(plan.validation_seconds, 0);
  const double row = plan.validation_seconds / 64;
  EXPECT_NEAR(plan.all_validations_seconds, (3 * 64 + 2 * 100) * row, 1e-9);
  EXPECT_NEAR(plan.run_seconds, 10 * plan.seconds + plan.all_validations_seconds, 1e-9);
  const train::TimePlan none = train::plan_time(cx, r, wide_v3(), 1 << 20, rows);
  EXPECT_EQ(none.layers, 0);
  EXPECT_GT(none.validation_seconds, 0);
  EXPECT_EQ(train::validation_rows(r, 0).ends, 0u);
}

TEST(Plan, StepsOfARampAreCounted) {
  const auto steps = [](const std::vector<std::string>& settings) {
    const Recipe r = train::load_recipe({}, settings);
    const train::BatchRamp ramp = train::schedules_of(r).rows;
    double counted = 0;
    for (std::int64_t tokens = 0; tokens < r.train.tokens; ++counted)
      tokens += ramp.rows_at(tokens) * r.data.sequence_length;
    EXPECT_EQ(ramp.steps(), counted);
    return counted;
  };
  EXPECT_EQ(steps({"data.sequence_length=64", "train.rows=4", "train.tokens=2561"}), 11);
  EXPECT_GT(steps({"data.sequence_length=64", "train.rows=8", "train.rows_start=2", "train.ramp_share=0.5",
                   "train.tokens=99999", "train.micro_rows=2"}),
            99999 / 512.0);
}

}  // namespace
}  // namespace hadal
