// hadal plan train RECIPE: memory and time of a training, before it begins.
#include <cmath>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/words.h"
#include "cli/failure.h"
#include "cli/json_out.h"
#include "cli/memory.h"
#include "cli/options.h"
#include "cli/print_table.h"
#include "cli/runtime.h"
#include "cli/verbs.h"
#include "train/setup.h"

namespace hadal::cli {

namespace {

struct Arguments {
  RecipeOptions recipe;
  std::size_t memory_limit = 0;
  bool as_json = false, no_time = false;
};

struct Plan {
  train::MemoryPlan memory;
  std::size_t program = 0, data = 0;  // resident bytes without data, and what tokenizer and data add
  std::size_t total() const { return memory.total() + program + data; }
  std::optional<train::TimePlan> time;
};

void print_memory(const Plan& p) {
  fmt::print("memory, bytes at the peak{}\n", p.memory.in_validation ? " (a validation's)" : "");
  const auto line = [](const std::string& name, std::size_t bytes) {
    fmt::print("  {:<18}{:>15}  {:>10}\n", name, bytes, size_text(bytes));
  };
  for (const auto& [name, bytes] : p.memory.parts()) {
    if (bytes > 0) line(name, bytes);
  }
  line("tokenizer and data", p.data);
  line("program", p.program);
  line("all", p.total());
}

std::uint64_t whole_number(double count) { return static_cast<std::uint64_t>(std::llround(count)); }

void print_time(const train::TimePlan& t) {
  fmt::print("\n{}\n", for_reading(fmt::format("time of a step {:.3f} s: {} tokens, {:.3g} FLOPs, {:.1f} % of this "
                                               "machine's peak of {:.0f} GFLOP/s",
                                               t.seconds, t.tokens, t.flops, 100 * t.flops / t.seconds / t.peak_flops,
                                               t.peak_flops / 1e9)));
  if (t.validation_seconds > 0) fmt::print("time of a validation {:.3f} s\n", t.validation_seconds);
  if (t.steps > 0) {
    fmt::print("the whole run: {}, {}", duration(t.run_seconds), plural(whole_number(t.steps), "step"));
    if (t.validations > 0)
      fmt::print("; of it {} for {}", duration(t.all_validations_seconds),
                 plural(whole_number(t.validations), "validation"));
    fmt::print("\n");
  }
  if (t.layers == 0) {
    fmt::print("not calibrated: too large for this machine; taken as 60 % of the peak\n");
    return;
  }
  fmt::print("calibrated by steps of {} on {}\n", plural(static_cast<std::uint64_t>(t.layers), "layer"),
             plural(static_cast<std::uint64_t>(t.rows), "row"));
  for (const auto& part : t.parts) {
    if (part.seconds < 0.005 * t.seconds) continue;
    const std::string share =
        part.flops > 0 ? fmt::format("{:.1f} % of the peak", 100 * part.flops / part.seconds / t.peak_flops) : "";
    fmt::print("  {:<34}{:>10.4f} s  {}\n", part.name, part.seconds, share);
  }
}

json to_json(const Plan& p, const MemoryLimit& limit) {
  json parts, j;
  for (const auto& [name, bytes] : p.memory.parts()) parts[name] = bytes;
  parts["tokenizer and data"] = p.data;
  parts["program"] = p.program;
  j["memory"] = {{"bytes", p.total()},   {"tensor_bytes", p.memory.tensors()},
                 {"parts", parts},       {"in_validation", p.memory.in_validation},
                 {"limit", limit.bytes}, {"fits", p.total() <= limit.bytes}};
  if (!p.time) return j;
  json kinds;
  for (const auto& part : p.time->parts) kinds[part.name] = {{"seconds", part.seconds}, {"flops", part.flops}};
  j["time"] = {{"step_seconds", p.time->seconds},
               {"tokens_per_step", p.time->tokens},
               {"flops_per_step", p.time->flops},
               {"peak_flops", p.time->peak_flops},
               {"steps", p.time->steps},
               {"validation_seconds", p.time->validation_seconds},
               {"validations", p.time->validations},
               {"all_validations_seconds", p.time->all_validations_seconds},
               {"run_seconds", p.time->run_seconds},
               {"calibrated", p.time->layers > 0},
               {"parts", kinds}};
  return j;
}

void run(const Arguments& a) {
  const train::Recipe recipe = train::load_recipe(a.recipe.recipe, a.recipe.overrides());
  Plan plan;
  const Runtime runtime(static_cast<int>(recipe.train.threads));
  plan.program = resident_bytes();
  train::Opened opened = train::open_recipe(recipe, train::Need::plan);
  for (const std::string& line : opened.notes) note(line);
  if (opened.rows) opened.rows->next();
  const model::Config& config = opened.config;
  const train::ValidationRows validation = train::validation_rows(recipe, opened.heldout.rows.size());
  plan.data = resident_bytes() - std::min(plan.program, resident_bytes());
  const MemoryLimit limit = limit_of(a.memory_limit);
  plan.memory = train::plan_memory(runtime.context(), recipe, config, validation.ends);
  plan.program = program_bytes() - plan.data;  // the walk has called what a run calls
  if (!a.no_time) {
    const std::size_t taken = plan.program + plan.data;
    plan.time =
        train::plan_time(runtime.context(), recipe, config, limit.bytes - std::min(limit.bytes, taken), validation);
  }
  if (a.as_json) {
    print_json(to_json(plan, limit));
    return;
  }
  print_memory(plan);
  fmt::print("  {:<18}{:>15}  {:>10}  {}\n", plan.total() <= limit.bytes ? "fits into" : "DOES NOT FIT into",
             limit.bytes, size_text(limit.bytes), limit.source);
  if (plan.time) print_time(*plan.time);
}

}  // namespace

void add_plan(Command app) {
  Command plan = app.add_verb("plan", "what a run will take, before it begins");
  plan.needs_verb();
  auto a = std::make_shared<Arguments>();
  Command verb = plan.add_verb("train", "memory and time of a recipe's step");
  add_recipe_options(verb, a->recipe);
  add_memory_limit(verb, a->memory_limit);
  verb.add_flag("--no-time", a->no_time, "memory only: no calibration");
  add_json(verb, a->as_json);
  verb.callback([a] { run(*a); });
}

}  // namespace hadal::cli
