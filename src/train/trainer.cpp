#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
#include <tuple>

#include "base/file.h"
#include "kernels/machine.h"
#include "model/accounting.h"
#include "model/load.h"
#include "model/names.h"
#include "train/batch.h"
#include "train/run_log.h"
#include "train/schedule.h"
#include "train/setup.h"
#include "train/spike_guard.h"

namespace hadal::train {

namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

class Trainer {
 public:
  // Of a run that has checkpoints the weights come from there: resume() loads them.
  Trainer(const kernels::Context& cx, const TrainerInput& in, bool has_checkpoints)
      : cx_(cx),
        in_(in),
        r_(in.recipe),
        has_checkpoints_(has_checkpoints),
        model_(in.config, compute_type(r_.model.dtype)),
        optimizer_(make_optimizer()),
        ema_(optimizer_, r_.optimizer.ema),
        schedules_(schedules_of(r_)),
        guard_({r_.guard.z, r_.guard.grad_z, r_.guard.window, r_.guard.most_in_row}),
        validator_(r_, in.heldout) {}

  // The folder outlives the call and no longer.
  TrainerOutcome run(const RunFolder& folder);

 private:
  void set_initial_weights();
  Optimizer make_optimizer();
  bool resume();
  void check_state(const fs::path& dir) const;
  void take_up_metrics();
  void begin();
  StepMetrics pending_step() const;
  void one_step(TrainerOutcome& outcome);
  StepMetrics step();
  std::vector<SourceRow> read_rows(std::int64_t rows);
  void backward(const std::vector<SourceRow>& rows, StepMetrics& m);
  void apply(StepMetrics& m);
  std::optional<Validator::Result> validate(bool at_end) const;
  bool note_best(const Validation& v, std::int64_t step);
  void save();
  bool try_save();
  [[noreturn]] void give_up();
  bool stopped() const { return in_.stop != nullptr && in_.stop->load(); }
  void say(const std::string& line) const {
    if (in_.on_message) in_.on_message(line);
  }

  const kernels::Context& cx_;
  const TrainerInput& in_;
  const Recipe& r_;
  bool has_checkpoints_;
  const RunFolder* folder_ = nullptr;
  model::CausalLm model_;
  Optimizer optimizer_;
  Ema ema_;
  Schedules schedules_;
  SpikeGuard guard_;
  Validator validator_;
  TrainerState state_;
  std::optional<RunLog> log_;
  double peak_ = 0;
  std::int64_t saved_step_ = -1;
};

void Trainer::set_initial_weights() {
  const std::string& start = r_.model.init_from;
  if (start.empty() || !model::missing_mtp(in_.config, io::HfDir(start)).empty())
    model::init_model(model_, static_cast<std::uint64_t>(r_.model.seed), r_.model.init_std, r_.model.embedding_std);
  if (!start.empty()) model::load_weights(model_, start);
}

Optimizer Trainer::make_optimizer() {
  if (!has_checkpoints_) set_initial_weights();  // else resume() writes over every weight
  const AdamWSettings settings{r_.optimizer.beta1, r_.optimizer.beta2, r_.optimizer.eps, r_.optimizer.weight_decay,
                               dtype_from_name(r_.optimizer.moments)};
  return Optimizer(model_, settings);
}

bool Trainer::resume() {
  const std::vector<std::int64_t> steps = list_checkpoints(in_.run_dir);
  if (steps.empty() == has_checkpoints_)
    fail("{}: its checkpoints came or went while the run started: start it again", in_.run_dir.string());
  if (steps.empty()) return false;
  const fs::path dir = checkpoint_dir(in_.run_dir, steps.back());
  try {
    state_ = read_state(dir);
    check_files(dir, state_);
    check_state(dir);
    load_checkpoint(dir, cx_, {model_, optimizer_, ema_});
    in_.rows->restore(state_.loader);
    guard_.restore(state_.guard);
  } catch (const Error& e) {
    fail_to_resume(in_.run_dir, e.what());
  }
  if (state_.validation != validator_.name())
    fail("data.heldout: gives '{}', the run was validated on '{}': figures of different rows do not compare",
         validator_.name(), state_.validation);
  saved_step_ = state_.step;
  take_up_metrics();
  if (state_.build != build_id()) {
    say(fmt::format("note: the checkpoint was written by {}, this is {}: bits are promised within one build",
                    state_.build, build_id()));
  }
  if (const std::string_view isa = kernels::name_of(cx_.isa()); state_.isa != isa)
    say(fmt::format("note: the checkpoint was written by {} kernels, these are {}: the bits are the same", state_.isa,
                    isa));
  say(fmt::format("going on from {} (step {}, {} tokens)", dir.string(), state_.step, state_.tokens));
  return true;
}

// Model and position are those that the recipe gives after so many steps.
void Trainer::check_state(const fs::path& dir) const {
  const std::string where = (dir / "trainer" / "state.json").string();
  const std::string differs = config_difference(dir, in_.config);
  if (!differs.empty()) fail("{}: the recipe now gives another model: {}", (dir / "config.json").string(), differs);
  std::int64_t tokens = 0;
  for (std::int64_t step = 0; step < state_.step && tokens < r_.train.tokens; ++step)
    tokens += schedules_.rows.rows_at(tokens) * r_.data.sequence_length;
  if (tokens != state_.tokens)
    fail("{}: {} tokens after step {}: with this recipe there are {}", where, state_.tokens, state_.step, tokens);
}

// The lines that are there must be this run's; that some are missing is said. A finished run may be asked for the whole
// text after all.
void Trainer::take_up_metrics() {
  const fs::path path = in_.run_dir / "metrics.jsonl";
  std::int64_t step = 0, tokens = 0, there = 0;
  StepMetrics last;
  if (fs::exists(path)) {
    each_step(path, [&](StepMetrics m) {
      if (m.step > state_.step) return;
      for (; step < m.step; ++step) tokens += schedules_.rows.rows_at(tokens) * r_.data.sequence_length;
      if (m.tokens != tokens)
        fail("{}: {} tokens after step {}: in this run there were {}: move the file of another run away", path.string(),
             m.tokens, m.step, tokens);
      ++there;
      last = std::move(m);
    });
  }
  const std::int64_t lacks = state_.step - (state_.pending.empty() ? 0 : 1) - there;
  if (lacks > 0)
    say(fmt::format("note: {} lacks {} of the {} steps so far: curves will have a gap", path.string(), lacks,
                    state_.step));
  const bool finished = state_.tokens >= r_.train.tokens && state_.pending.empty() && last.step == state_.step;
  if (!finished || !validator_.reads_whole() || last.validations.size() > 1) return;
  last.validations.clear();
  state_.pending = to_json(last);
}

void Trainer::backward(const std::vector<SourceRow>& rows, StepMetrics& m) {
  const auto plant = [&](std::int64_t first, ObjectiveResult& result) {
    if (first != 0 || !fault_planned("loss", m.step)) return;
    result.main = std::numeric_limits<double>::quiet_NaN();
    optimizer_.parameters().front().grad.data<float>()[0] = std::numeric_limits<float>::quiet_NaN();
  };
  run_batch({cx_, model_, optimizer_, r_, plant}, rows, m);
}

void Trainer::apply(StepMetrics& m) {
  m.grad_norm = optimizer_.grad_norm(cx_);
  for (const auto& loads : m.loads_LE) m.max_violation.push_back(max_violation(loads));
  if (const std::string spike = guard_.judge(m.objective, m.lm_loss, m.grad_norm); !spike.empty()) {
    m.skipped = guard_.cause();
    say(fmt::format("step {} is skipped: {}", m.step, spike));
    return;
  }
  const double clip = r_.optimizer.clip;
  optimizer_.step(cx_, m.lr, clip > 0 ? std::min(1.0, clip / (m.grad_norm + 1e-6)) : 1.0, state_.updates + 1);
  ema_.update(cx_, state_.updates == 0);
  ++state_.updates;
  const std::vector<Tensor> biases = model_.gate_biases();
  for (std::size_t b = 0; b < biases.size(); ++b) update_gate_bias(biases[b], m.loads_LE[b], m.gamma);
}

StepMetrics Trainer::step() {
  const Clock::time_point start = Clock::now();
  StepMetrics m;
  m.rows = schedules_.rows.rows_at(state_.tokens);
  const std::int64_t step_tokens = m.rows * r_.data.sequence_length;
  m.step = state_.step + 1;
  m.total_tokens = r_.train.tokens;
  m.lr = schedules_.lr.at(state_.tokens, step_tokens);
  m.gamma = schedules_.gamma.at(state_.tokens);
  m.lambda = schedules_.lambda.at(state_.tokens);
  const std::vector<SourceRow> rows = read_rows(m.rows);
  backward(rows, m);
  apply(m);
  state_.loader = in_.rows->state();
  state_.step = m.step;
  state_.tokens += step_tokens;
  m.tokens = state_.tokens;
  m.seconds = since(start);
  state_.seconds += m.seconds;
  m.tokens_per_second = static_cast<double>(step_tokens) / m.seconds;
  m.share_of_peak = m.tokens_per_second * model::train_flops_per_token(in_.config, r_.data.sequence_length) / peak_;
  m.memory_gib = peak_memory_gib();
  return m;
}

// Data that can no longer be read stop the run whole: what has been trained is saved first.
std::vector<SourceRow> Trainer::read_rows(std::int64_t n) {
  std::vector<SourceRow> rows;
  try {
    for (std::int64_t i = 0; i < n; ++i) rows.push_back(in_.rows->next());
  } catch (const Error& e) {
    if (state_.step == 0) throw;
    std::string saved = fmt::format("step {} is saved", state_.step);
    try {
      save();
    } catch (const std::exception& s) {
      saved = fmt::format("step {} could not be saved: {}", state_.step, s.what());
    }
    fail("{}: the run stops; {}", e.what(), saved);
  }
  return rows;
}

std::optional<Validator::Result> Trainer::validate(bool at_end) const {
  return validator_.run(cx_, model_, at_end, {in_.bytes_of, in_.stop, in_.on_validation});
}

// The rows that every validation reads are compared, and no others. True: this is the best checkpoint so far.
bool Trainer::note_best(const Validation& v, std::int64_t step) {
  if (!std::isfinite(v.bits_per_byte)) return false;
  if (state_.best_step >= 0 && v.bits_per_byte >= state_.best_bits_per_byte) return false;
  state_.best_bits_per_byte = v.bits_per_byte;
  state_.best_step = step;
  return true;
}

void Trainer::save() {
  if (saved_step_ == state_.step) return;
  folder_->require_in_place();
  if (log_) log_->flush();  // a run that goes on from this checkpoint has the lines of all steps before it
  state_.guard = guard_.state();
  state_.recipe = to_toml(r_);
  state_.build = build_id();
  state_.isa = kernels::name_of(cx_.isa());
  save_checkpoint(*folder_, {model_, optimizer_, ema_}, state_, r_.data.tokenizer, r_.checkpoint.keep);
  saved_step_ = state_.step;
}

// A checkpoint on the way: the run outlives a disk that is full. False: it was not written, and said so.
bool Trainer::try_save() {
  try {
    save();
    return true;
  } catch (const std::exception& e) {
    folder_->require_in_place();
    say(fmt::format("no checkpoint of step {}: {}; the run goes on", state_.step, e.what()));
    return false;
  }
}

void Trainer::give_up() {
  const std::int64_t skipped = guard_.skipped_in_row();
  guard_.forgive();  // whoever starts the run again gives it as many steps
  save();
  fail(
      "{} steps in a row were skipped, the last is step {}: the run stops; {} holds what came before, the same command "
      "goes on from there",
      skipped, state_.step, checkpoint_dir(in_.run_dir, state_.step).string());
}

// What comes before the first step.
void Trainer::begin() {
  const fs::path before = in_.run_dir / "before.json";
  if (const fs::path metrics = in_.run_dir / "metrics.jsonl"; fs::exists(metrics)) {
    if (fs::file_size(metrics) > 0)
      say(fmt::format("note: {} has no checkpoint: the run starts from its beginning", in_.run_dir.string()));
    fs::remove(metrics);
  }
  log_.emplace(in_.run_dir, 0, in_.config);
  fs::remove(before);
  if (validator_.empty()) return;
  const auto v = validate(true);
  folder_->require_in_place();
  if (v) write_before(in_.run_dir, v->figures);
}

StepMetrics Trainer::pending_step() const {
  return MetricsReader("the step whose validation is to be made").line(state_.pending);
}

// A step with all that follows it; or what is left of one whose validation was cut short.
void Trainer::one_step(TrainerOutcome& outcome) {
  const bool again = !state_.pending.empty();
  StepMetrics m = again ? pending_step() : step();
  if (!again) ++outcome.steps_made;
  const std::pair best_before{state_.best_step, state_.best_bits_per_byte};
  const bool last = state_.tokens >= r_.train.tokens;
  bool keep = r_.checkpoint.every > 0 && m.step % r_.checkpoint.every == 0;
  if (validator_.after(m.step, last)) {
    auto v = validate(last);
    if (!v) {
      state_.pending = to_json(m);
      say(fmt::format("the validation after step {} was cut short: it is made when the run goes on", m.step));
      return;
    }
    m.validations = v->figures;
    keep = note_best(m.validations.front(), m.step) || keep;
    outcome.validated = m.validations.back().name;
    outcome.after = std::move(v->evaluation);
  }
  if (again) {  // the checkpoint of this step says that something is left: it is saved again
    state_.pending.clear();
    saved_step_ = -1;
  }
  folder_->require_in_place();
  HADAL_ASSERT(log_.has_value());
  if (const std::string problem = log_->append(m); !problem.empty()) say(problem);
  if (in_.on_step) in_.on_step(m);
  if (guard_.gives_up()) give_up();
  if (keep && !last && !try_save()) std::tie(state_.best_step, state_.best_bits_per_byte) = best_before;
}

TrainerOutcome Trainer::run(const RunFolder& folder) {
  TrainerOutcome outcome;
  folder_ = &folder;
  const bool resumed = resume();
  peak_ = in_.peak_flops > 0 ? in_.peak_flops : kernels::float_rate(cx_.pool().size(), model_.act());
  state_.loader = in_.rows->state();
  state_.validation = validator_.name();
  if (resumed) {
    log_.emplace(in_.run_dir, state_.step - (state_.pending.empty() ? 0 : 1), in_.config);
  } else {
    begin();
  }
  while (!stopped() && (!state_.pending.empty() || state_.tokens < r_.train.tokens)) one_step(outcome);
  if (state_.step > 0) save();
  outcome.finished = state_.tokens >= r_.train.tokens && state_.pending.empty();
  outcome.step = state_.step;
  outcome.tokens = state_.tokens;
  outcome.seconds = state_.seconds;
  return outcome;
}

}  // namespace

TrainerOutcome train(const kernels::Context& cx, const TrainerInput& input) {
  // All that can be wrong with the input is found before a folder is made, or one that is there is touched.
  check_model(input.recipe, input.config);
  require_same_recipe(input.run_dir, input.recipe);
  Trainer trainer(cx, input, !list_checkpoints(input.run_dir).empty());
  const RunFolder folder(input.run_dir);
  require_same_recipe(input.run_dir, input.recipe);  // another process may have trained meanwhile
  remove_temporaries(input.run_dir);
  remove_unfinished(input.run_dir);
  write_file_atomically(input.run_dir / "recipe.toml", to_toml(input.recipe));
  const TrainerOutcome outcome = trainer.run(folder);
  if (input.at_end) {
    folder.require_in_place();
    input.at_end(outcome);
  }
  return outcome;
}

}  // namespace hadal::train
