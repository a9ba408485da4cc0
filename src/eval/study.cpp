#include "eval/study.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "data/checksum.h"
#include "kernels/machine.h"
#include "model/accounting.h"
#include "model/load.h"
#include "train/optimizer.h"
#include "train/setup.h"
#include "train/trainer.h"

namespace hadal::eval {

namespace {

// One run of a study.
class Run {
 public:
  Run(const kernels::Context& cx, const Study& study, const Plan& plan)
      : cx_(cx), study_(study), plan_(plan), dir_(study.folder / plan.name) {}

  // Nothing if stopped.
  std::optional<RunResult> result(double& peak, const std::function<void(const train::StepMetrics&)>& on_step);

 private:
  bool trained() const;
  bool train(double& peak, const std::function<void(const train::StepMetrics&)>& on_step);
  std::optional<std::vector<KindResult>> measured(const fs::path& checkpoint);
  void note_biases(const fs::path& checkpoint, RunResult& r) const;
  DType compute() const { return train::compute_type(plan_.recipe.model.dtype); }

  const kernels::Context& cx_;
  const Study& study_;
  const Plan& plan_;
  fs::path dir_;
};

fs::path last_checkpoint(const fs::path& dir) {
  const std::vector<std::int64_t> steps = train::list_checkpoints(dir);
  return steps.empty() ? fs::path() : train::checkpoint_dir(dir, steps.back());
}

// Whether the folder holds this plan's run, finished. A folder with the run of another recipe is an error.
bool Run::trained() const {
  const fs::path recipe = dir_ / "recipe.toml", checkpoint = last_checkpoint(dir_);
  if (!fs::exists(recipe) || checkpoint.empty()) return false;
  const std::vector<std::string> changed = train::differences(train::load_recipe(recipe, {}), plan_.recipe);
  if (!changed.empty())
    fail("{}: this run was made with another recipe ({}): use that one, or another --out folder", dir_.string(),
         changed.front());
  return train::read_state(checkpoint).tokens >= plan_.recipe.train.tokens;
}

bool Run::train(double& peak, const std::function<void(const train::StepMetrics&)>& on_step) {
  train::TrainerInput in;
  in.recipe = plan_.recipe;
  in.run_dir = dir_;
  in.config = train::config_of(plan_.recipe, *study_.tokenizer);
  if (peak == 0) peak = kernels::float_rate(cx_.pool().size(), compute() == DType::f32 ? DType::f32 : DType::bf16);
  in.peak_flops = peak;
  train::LoaderRows rows = train::open_rows(plan_.recipe, *study_.tokenizer);
  in.rows = &rows;
  in.stop = study_.stop;
  in.on_step = on_step;
  in.on_message = study_.on_message;
  return train::train(cx_, in).finished;
}

std::optional<std::vector<KindResult>> Run::measured(const fs::path& checkpoint) {
  const fs::path file = dir_ / "measured.json";
  const std::string key = fmt::format("{} {:016x}", checkpoint.filename().string(), hash_of(study_.heldout));
  if (fs::exists(file)) {
    if (auto known = from_text(read_whole_file(file), key, file.string())) return known;
  }
  const model::CausalLm model = model::load_model(checkpoint, compute());
  const auto kinds = measure(
      cx_, model, study_.heldout, [&](std::int32_t id) { return train::bytes_of_token(*study_.tokenizer, id); },
      study_.stop, nullptr);
  if (kinds) write_file_atomically(file, to_text(*kinds, key));
  return kinds;
}

std::vector<float> biases_of(const fs::path& dir) {
  model::CausalLm model = model::load_model(dir, DType::f32);
  std::vector<float> all;
  for (const Tensor& bias : model.gate_biases()) {
    const auto values = bias.span<float>();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

void Run::note_biases(const fs::path& checkpoint, RunResult& r) const {
  const std::vector<float> end = biases_of(checkpoint);
  const std::string& from = plan_.recipe.model.init_from;
  const std::vector<float> start = from.empty() ? std::vector<float>(end.size()) : biases_of(from);
  for (std::size_t i = 0; i < end.size(); ++i) {
    r.bias_max = std::max(r.bias_max, static_cast<double>(std::abs(end[i])));
    r.bias_change = std::max(r.bias_change, std::abs(static_cast<double>(end[i]) - start.at(i)));
  }
}

std::optional<RunResult> Run::result(double& peak, const std::function<void(const train::StepMetrics&)>& on_step) {
  if (!trained() && !train(peak, on_step)) return std::nullopt;
  const fs::path checkpoint = last_checkpoint(dir_);
  const auto kinds = measured(checkpoint);
  if (!kinds) return std::nullopt;
  const train::TrainerState state = train::read_state(checkpoint);
  RunResult r;
  r.plan = plan_;
  r.kinds = *kinds;
  r.tokens = state.tokens;
  r.steps = state.step;
  r.seconds = state.seconds;
  r.flops = model::train_flops_per_token(model::load_config(checkpoint), plan_.recipe.data.sequence_length) *
            static_cast<double>(state.tokens);
  r.data_end = data::hash_bytes(std::as_bytes(std::span(state.loader)));
  note_biases(checkpoint, r);
  r.steps_log = train::read_metrics(dir_ / "metrics.jsonl");
  if (r.steps_log.empty()) fail("{}: metrics.jsonl has no step", dir_.string());
  r.first_loss = r.steps_log.front().lm_loss;
  return r;
}

}  // namespace

std::int64_t Study::total_tokens() const {
  std::int64_t n = 0;
  for (const Plan& p : plans) n += p.recipe.train.tokens;
  return n;
}

Kind read_kind(const std::string& name, const std::filesystem::path& folder, const train::Recipe& recipe,
               const text::Tokenizer& tokenizer, std::int64_t most_rows) {
  Kind kind{name, train::heldout_rows(recipe, tokenizer, folder)};
  if (kind.rows.empty()) fail("{}: has fewer than two tokens: nothing to predict", folder.string());
  if (most_rows > 0 && static_cast<std::int64_t>(kind.rows.size()) > most_rows)
    kind.rows.resize(static_cast<std::size_t>(most_rows));
  return kind;
}

std::optional<std::vector<RunResult>> run_study(const kernels::Context& cx, const Study& study) {
  std::vector<RunResult> results;
  results.reserve(study.plans.size());
  double peak = 0;
  std::int64_t before = 0;
  for (std::size_t i = 0; i < study.plans.size(); ++i) {
    Plan plan = study.plans[i];
    if (!plan.from.empty()) plan.recipe.model.init_from = last_checkpoint(study.folder / plan.from).string();
    if (study.on_progress) study.on_progress(i, before, nullptr);
    auto result = Run(cx, study, plan).result(peak, [&](const train::StepMetrics& m) {
      if (study.on_progress) study.on_progress(i, before + std::min(m.tokens, plan.recipe.train.tokens), &m);
    });
    if (!result) return std::nullopt;
    results.push_back(std::move(*result));
    before += plan.recipe.train.tokens;
  }
  return results;
}

std::string run_json(const RunResult& r) {
  const train::Evaluation all = r.total();
  std::vector<double> by_layer;
  by_layer.reserve(all.loads_LE.size());
  for (const auto& loads : all.loads_LE) by_layer.push_back(train::max_violation(loads));
  json kinds = json::array();
  for (const KindResult& k : r.kinds)
    kinds.push_back({{"name", k.name},
                     {"tokens", k.evaluation.tokens},
                     {"loss", k.evaluation.loss()},
                     {"bits_per_byte", k.evaluation.bits_per_byte()},
                     {"loads", k.evaluation.loads_LE}});
  const json j = {{"name", r.plan.name},
                  {"variant", r.plan.variant},
                  {"seed", r.plan.recipe.model.seed},
                  {"gamma", r.plan.recipe.balance.gamma},
                  {"alpha", r.plan.recipe.balance.alpha},
                  {"tokens", r.tokens},
                  {"steps", r.steps},
                  {"seconds", r.seconds},
                  {"flops", r.flops},
                  {"first_loss", r.first_loss},
                  {"data_end", fmt::format("{:016x}", r.data_end)},
                  {"bias_max", r.bias_max},
                  {"bias_change", r.bias_change},
                  {"heldout_tokens", all.tokens},
                  {"loss", all.loss()},
                  {"bits_per_byte", all.bits_per_byte()},
                  {"max_violation_mean", all.max_violation_mean()},
                  {"max_violation_worst", all.max_violation_worst()},
                  {"max_violation", by_layer},
                  {"specialisation", specialisation(r.kinds)},
                  {"kinds", kinds}};
  return j.dump();
}

}  // namespace hadal::eval
