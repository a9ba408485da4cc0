#include "train/plan.h"

#include <algorithm>

#include "model/accounting.h"
#include "train/dry_step.h"

namespace hadal::train {

namespace {

std::size_t bytes_of(const Tensor& t) { return t.defined() ? storage_bytes(t.bytes()) : 0; }

// Bytes of a parameter that a run keeps whatever it does: compute weight, master, moments, average.
std::size_t bytes_of_parameter(const Recipe& r) {
  const std::size_t compute = r.model.dtype == "bf16" ? 2 : 0, moments = r.optimizer.moments == "bf16" ? 4 : 8;
  return compute + 4 + moments + (r.optimizer.ema > 0 ? 4 : 0);
}

// Values that train.micro_rows may take below the present one: divisors of the rows of a step, the largest first.
std::vector<std::int64_t> smaller_micro_rows(const Recipe& r) {
  const std::int64_t now = r.train.micro_rows > 0 ? r.train.micro_rows : r.train.rows;
  std::vector<std::int64_t> all;
  for (std::int64_t n = now - 1; n >= 1; --n) {
    const bool divides = r.train.rows % n == 0 && r.train.rows_start % n == 0 && r.train.rows_multiple % n == 0;
    if (divides && (all.empty() || n <= all.back() / 2 + 1 || n == 1)) all.push_back(n);
  }
  return all;
}

}  // namespace

std::vector<std::pair<std::string, std::size_t>> MemoryPlan::parts() const {
  return {{"weights", weights},
          {"master weights", masters},
          {"moments", moments},
          {"moving average", average},
          {"gradients", gradients},
          {"activations", activations},
          {"scratch of kernels", scratch},
          {"held for reuse", held()}};
}

ValidationRows validation_rows(const Recipe& r, std::size_t text_rows) {
  const std::size_t each = std::min(text_rows, static_cast<std::size_t>(r.validation.rows));
  return {each, r.validation.full ? text_rows : each};
}

MemoryPlan plan_memory(const kernels::Context& cx, const Recipe& recipe, const model::Config& config,
                       std::size_t heldout_rows) {
  DryRun run(cx, recipe, config);
  MemoryPlan p;
  p.weights = run.weights;
  for (const TrainedParameter& t : run.optimizer.parameters()) {
    if (t.master.storage_number() != t.parameter.value->storage_number()) p.masters += bytes_of(t.master);
    p.moments += bytes_of(t.m) + bytes_of(t.v);
  }
  for (const Tensor& t : run.ema.tensors()) p.average += bytes_of(t);
  run.hold_sums();
  // The second step finds the scratch that the first has made.
  for (int step = 0; step < 2; ++step) {
    run.sizes.reset_peak();
    run.batch();
    run.update();
  }
  const std::size_t of_step = run.sizes.count().peak;
  p.gradients = run.sizes.alive_at_peak(run.gradients);
  std::size_t peak = of_step;
  if (heldout_rows > 0) {
    run.drop_sums();
    run.sizes.reset_peak();
    run.validate(heldout_rows);
    p.in_validation = run.sizes.count().peak > of_step;
    if (p.in_validation) {
      peak = run.sizes.count().peak;
      p.gradients = 0;
    }
  }
  p.scratch = run.cx.scratch().bytes();
  p.activations = peak - (p.tensors() - p.activations);
  return p;
}

std::size_t least_memory(const Recipe& recipe, const model::Config& config) {
  const model::Accounting count = model::account(config, recipe.data.sequence_length);
  return static_cast<std::size_t>(count.parameters + count.mtp_parameters) * (bytes_of_parameter(recipe) + 4);
}

std::vector<Remedy> remedies(const kernels::Context& cx, const Recipe& recipe, const model::Config& config,
                             std::size_t heldout_rows, std::size_t other, std::size_t limit) {
  std::vector<Remedy> found;
  const auto fits = [&](const std::string& recompute, std::int64_t micro_rows, bool bf16_moments) {
    Recipe r = recipe;
    Remedy remedy;
    if (!recompute.empty()) {
      r.train.recompute = recompute;
      remedy.settings.push_back("train.recompute=\"" + recompute + "\"");
    }
    if (micro_rows > 0) {
      r.train.micro_rows = micro_rows;
      remedy.settings.push_back(fmt::format("train.micro_rows={}", micro_rows));
    }
    if (bf16_moments) {
      r.optimizer.moments = "bf16";
      remedy.settings.emplace_back("optimizer.moments=\"bf16\"");
    }
    remedy.bytes = plan_memory(cx, r, config, heldout_rows).total() + other;
    if (remedy.bytes > limit) return false;
    found.push_back(std::move(remedy));
    return true;
  };
  std::vector<std::string> recomputes;
  if (recipe.train.recompute == "none") recomputes.emplace_back("selective");
  if (recipe.train.recompute != "blocks") recomputes.emplace_back("blocks");
  const std::vector<std::int64_t> micro_rows = smaller_micro_rows(recipe);
  const bool wide = recipe.optimizer.moments == "f32";
  // One change alone, of each kind the mildest that does.
  std::any_of(recomputes.begin(), recomputes.end(), [&](const std::string& r) { return fits(r, 0, false); });
  std::any_of(micro_rows.begin(), micro_rows.end(), [&](std::int64_t n) { return fits("", n, false); });
  if (wide) fits("", 0, true);
  if (!found.empty()) return found;
  const std::string most = recipe.train.recompute == "blocks" ? "" : "blocks";
  for (const bool moments : {false, true}) {
    if (moments && (!wide || fits(most, 0, true))) break;
    if (std::any_of(micro_rows.begin(), micro_rows.end(), [&](std::int64_t n) { return fits(most, n, moments); }))
      break;
  }
  return found;
}

}  // namespace hadal::train
