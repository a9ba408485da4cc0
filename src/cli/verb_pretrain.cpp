// hadal pretrain RECIPE --run DIR: trains from a recipe, or goes on where the run stopped.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "base/model_folder.h"
#include "base/progress.h"
#include "base/words.h"
#include "cli/failure.h"
#include "cli/json_out.h"
#include "cli/memory.h"
#include "cli/options.h"
#include "cli/run_json.h"
#include "cli/runtime.h"
#include "cli/sample.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "model/accounting.h"
#include "train/report.h"
#include "train/setup.h"
#include "train/step_note.h"
#include "train/trainer.h"

namespace hadal::cli {

namespace {

struct Arguments {
  RecipeOptions recipe;
  std::string run, resume, init_from;
  std::size_t memory_limit = 0;
  bool as_json = false;
};

// In lines that fit 80 columns.
void print_outcome(const train::TrainerOutcome& o) {
  fmt::print("{} tokens in {}, {} at {} tokens/s (of the training steps alone)\n",
             short_number(static_cast<double>(o.tokens)), plural(static_cast<std::uint64_t>(o.step), "step"),
             duration(o.seconds), short_number(static_cast<double>(o.tokens) / std::max(1e-9, o.seconds)));
  if (o.validated.empty()) return;
  fmt::print("validation: {:.4f} nats per token, {:.4f} bits per byte\n", o.after.loss(), o.after.bits_per_byte());
  fmt::print("  {}; MaxVio {:.3f} (worst layer {:.3f})\n", o.validated, o.after.max_violation_mean(),
             o.after.max_violation_worst());
  for (std::size_t k = 0; k < o.after.drafts.size(); ++k)
    fmt::print("  MTP module {}: {:.1f} % of its guesses accepted\n", k + 1, 100 * o.after.acceptance(k));
}

// The figures of the whole run, as they stand in its folder.
json to_json(const train::TrainerInput& in, const train::TrainerOutcome& o) {
  json j = {{"run", in.run_dir.string()}, {"finished", o.finished}, {"steps_made", o.steps_made}};
  j.update(run_figures(o.step > 0 ? train::read_metrics(in.run_dir / "metrics.jsonl") : train::StepLog{}));
  j["seconds"] = o.seconds;
  j["report"] = o.step > 0 ? json((in.run_dir / "report.html").string()) : json();
  j["model"] = o.step > 0 ? json(train::checkpoint_dir(in.run_dir, o.step).string()) : json();
  return j;
}

void print_text(const train::TrainerInput& in, const train::TrainerOutcome& o) {
  if (o.finished && o.steps_made == 0) {
    fmt::print("{}: the run is finished; to train longer: {}\n", in.run_dir.string(),
               train::longer_command(in.run_dir, in.recipe, in.recipe.train.tokens));
  }
  if (o.step == 0) {
    fmt::print("stopped before the first step: nothing is saved, the same command starts again\n");
    return;
  }
  print_outcome(o);
  fmt::print("report: {}\n", (in.run_dir / "report.html").string());
  fmt::print("model:  {}\n", train::checkpoint_dir(in.run_dir, o.step).string());
  if (!o.finished) fmt::print("stopped; the same command goes on from here\n");
}

// A bar of its own for a validation that takes long; it goes when that is done.
class ValidationBar {
 public:
  void update(std::int64_t rows, std::int64_t all) {
    const auto now = std::chrono::steady_clock::now();
    if (!running_) start_ = now;
    running_ = rows < all;
    const auto patience = std::chrono::seconds(isatty(fileno(stderr)) == 1 ? 1 : 10);
    if (!bar_ && running_ && now - start_ > patience) bar_.emplace("validation", all, "rows");
    if (bar_) bar_->update(rows);
    if (!running_) end();
  }
  void end() {
    if (bar_) bar_->drop();
    bar_.reset();
    running_ = false;
  }

 private:
  bool running_ = false;
  std::chrono::steady_clock::time_point start_;
  std::optional<Progress> bar_;
};

// For the report of a finished run, where it takes seconds; `hadal report` makes it for a model of any size.
std::optional<train::Sample> sample_at_end(const train::TrainerInput& in, const train::TrainerOutcome& o,
                                           const model::Accounting& count, const kernels::Context& cx) {
  constexpr std::int64_t kMaxParameters = 1000000000;
  if (!o.finished || count.parameters > kMaxParameters) return std::nullopt;
  std::string problem;
  auto sample = sample_of(in.run_dir, train::checkpoint_dir(in.run_dir, o.step), cx, stop_flag(), problem);
  if (!problem.empty() && in.on_message) in.on_message(problem);
  return sample;
}

train::Recipe recipe_of(const Arguments& a) {
  if (!a.resume.empty()) return train::resumed_recipe(a.resume, a.recipe.overrides());
  if (a.recipe.recipe.empty()) {
    const auto taken = std::find_if(a.recipe.set.begin(), a.recipe.set.end(),
                                    [](const std::string& value) { return value.find('=') == std::string::npos; });
    fail("hadal pretrain: RECIPE is needed (or --resume RUN){}",
         taken == a.recipe.set.end() ? "" : fmt::format("; --set took '{}' for its KEY=VALUE", *taken));
  }
  if (fs::is_directory(a.recipe.recipe))
    fail("{}: it is a folder; RECIPE is a TOML file (hadal pretrain --resume RUN goes on with a run)", a.recipe.recipe);
  if (a.run.empty()) fail("hadal pretrain: --run is needed: it names the folder of the run");
  std::vector<std::string> overrides = a.recipe.overrides();
  if (!a.init_from.empty()) overrides.push_back("model.init_from=" + a.init_from);
  return train::load_recipe(a.recipe.recipe, overrides);
}

void run(const Arguments& a) {
  ignore_broken_pipes();
  train::TrainerInput in;
  in.recipe = recipe_of(a);
  in.run_dir = a.resume.empty() ? a.run : a.resume;
  const bool resumes = !train::list_checkpoints(in.run_dir).empty();
  train::Recipe opening = in.recipe;
  // A run that has checkpoints needs the folder from which it started no more: its own are of the same model.
  if (resumes && !opening.model.init_from.empty()) opening.model.init_from = model_folder(in.run_dir).string();
  train::Opened opened = train::open_recipe(opening, resumes ? train::Need::resumption : train::Need::training);
  quietly([&] {
    for (const std::string& line : opened.notes) note(line);
  });
  in.config = opened.config;
  HADAL_ASSERT(opened.rows.has_value());
  in.rows = &*opened.rows;
  in.heldout = std::move(opened.heldout);
  in.bytes_of = [&](std::int32_t id) { return train::bytes_of_token(*opened.tokenizer, id); };
  in.stop = &stop_flag();
  Runtime runtime(static_cast<int>(in.recipe.train.threads));
  const model::Accounting count = model::account(in.config, in.recipe.data.sequence_length);
  require_memory(
      runtime.context(),
      {in.recipe, in.config, train::validation_rows(in.recipe, in.heldout.rows.size()).ends, limit_of(a.memory_limit)});
  quietly([&] {
    fmt::print(stderr, "{} parameters and {} in MTP, {}, {}\n", short_number(static_cast<double>(count.parameters)),
               short_number(static_cast<double>(count.mtp_parameters)),
               plural(static_cast<std::uint64_t>(runtime.threads()), "thread"),
               kernels::name_of(runtime.context().isa()));
  });
  ValidationBar validation;
  in.on_validation = [&](std::int64_t done, std::int64_t all) { quietly([&] { validation.update(done, all); }); };
  Progress progress("training", in.recipe.train.tokens, "tokens");
  train::StepNote recent;
  in.on_step = [&](const train::StepMetrics& m) {
    recent.add(m);
    quietly([&] {
      progress.set_rate(recent.tokens_per_second());
      progress.update(m.tokens, recent.notes());
      for (const train::Validation& v : m.validations)
        progress.message(fmt::format("step {}: validation {:.4f} nats/token, {:.4f} bits/byte ({})", m.step, v.lm_loss,
                                     v.bits_per_byte, v.name));
    });
  };
  in.on_message = [&](const std::string& line) {
    quietly([&] {
      validation.end();
      progress.message(line);
    });
  };
  in.at_end = [&](const train::TrainerOutcome& o) {
    if (o.step > 0) train::write_report(in.run_dir, in.config, sample_at_end(in, o, count, runtime.context()));
  };
  const train::TrainerOutcome o = train::train(runtime.context(), in);
  quietly([&] { progress.finish(); });
  if (a.as_json) {
    print_json(to_json(in, o));
  } else {
    print_text(in, o);
  }
  if (!o.finished) end_with(130);
}

}  // namespace

void add_pretrain(Command app) {
  auto a = std::make_shared<Arguments>();
  Command verb = app.add_verb("pretrain", "train a model from a recipe; the same command resumes an interrupted run");
  Option recipe = add_recipe_options(verb, a->recipe).required(false);
  Option folder = verb.add_option("--run", a->run, "folder of the run");
  Option from =
      verb.add_option("--init-from", a->init_from, "model folder to start from (a new run, not a resumption)");
  verb.add_option("--resume", a->resume, "folder of a run: goes on with its own recipe; --set may change keys marked *")
      .not_with(recipe)
      .not_with(folder)
      .not_with(from);
  add_memory_limit(verb, a->memory_limit);
  add_json(verb, a->as_json, "print the outcome as one JSON object, in one line (docs/training.md names its keys)");
  verb.callback([a] { run(*a); });
}

}  // namespace hadal::cli
