#include "eval/balance.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"

namespace hadal::eval {

namespace {

Plan plan_of(const train::Recipe& recipe, const std::string& variant, std::int64_t seed, double gamma, double alpha) {
  Plan p{fmt::format("seed{}-{}", seed, variant), variant, recipe, ""};
  p.recipe.model.seed = p.recipe.data.seed = seed;
  p.recipe.balance.gamma = gamma;
  p.recipe.balance.gamma_final = std::min(recipe.balance.gamma_final, gamma);
  p.recipe.balance.alpha = alpha;
  return p;
}

// With gamma = 0, from the biased model: a tenth of the tokens, other data, the last learning rate.
Plan frozen_plan(const train::Recipe& recipe, std::int64_t seed, const std::string& from) {
  Plan p = plan_of(recipe, "frozen", seed, 0, 0);
  p.from = from;
  p.recipe.data.seed = seed + 1000000;
  p.recipe.train.tokens = std::max<std::int64_t>(1, recipe.train.tokens / 10);
  p.recipe.lr.peak = recipe.lr.final;
  return p;
}

const RunResult& find(const std::vector<RunResult>& runs, const std::string& variant, std::int64_t seed) {
  const auto it = std::find_if(runs.begin(), runs.end(), [&](const RunResult& r) {
    return r.plan.variant == variant && r.plan.recipe.model.seed == seed;
  });
  HADAL_ASSERT(it != runs.end());
  return *it;
}

}  // namespace

std::vector<Plan> plan_balance(const train::Recipe& recipe, const model::Config& config, const BalanceSettings& s) {
  if (config.n_routed_experts == 0 || config.topk_method != model::TopkMethod::noaux_tc)
    fail("the model has no gate with a bias (topk_method noaux_tc): take a preset like study");
  const auto& b = recipe.balance;
  if (b.gamma <= 0) fail("balance.gamma = {}: must be above 0 for the runs with the bias", b.gamma);
  if (b.alpha <= 0) fail("balance.alpha = {}: must be above 0 for the runs with the auxiliary loss", b.alpha);
  for (const auto& [key, alpha] : {std::pair{"expert_alpha", b.expert_alpha},
                                   {"device_alpha", b.device_alpha},
                                   {"communication_alpha", b.communication_alpha}}) {
    if (alpha > 0) fail("balance.{} = {}: must be 0, the study has balance.alpha alone", key, alpha);
  }
  std::vector<Plan> plans;
  for (const std::int64_t seed : s.seeds) {
    plans.push_back(plan_of(recipe, "bias", seed, b.gamma, 0));
    plans.push_back(plan_of(recipe, "aux", seed, 0, b.alpha));
    plans.push_back(plan_of(recipe, "neither", seed, 0, 0));
  }
  const std::int64_t first = s.seeds.front();
  for (const double gamma : s.gammas) {
    if (gamma == b.gamma || gamma == 0) continue;  // there already
    plans.push_back(plan_of(recipe, fmt::format("gamma-{}", gamma), first, gamma, 0));
  }
  for (const double alpha : s.alphas) {
    if (alpha == b.alpha || alpha == 0) continue;
    plans.push_back(plan_of(recipe, fmt::format("alpha-{}", alpha), first, 0, alpha));
  }
  plans.push_back(frozen_plan(recipe, first, plans.front().name));
  return plans;
}

bool BalanceVerdict::holds() const {
  return violation_bias <= kMostViolation && ratio() >= kLeastRatio && std::abs(loss_change()) <= kMostLossChange;
}

std::vector<BalanceVerdict> judge_balance(const std::vector<RunResult>& runs) {
  std::vector<BalanceVerdict> verdicts;
  for (const RunResult& r : runs) {
    if (r.plan.variant != "bias") continue;
    BalanceVerdict v;
    v.seed = r.plan.recipe.model.seed;
    const train::Evaluation bias = r.total(), aux = find(runs, "aux", v.seed).total(),
                            neither = find(runs, "neither", v.seed).total();
    v.violation_bias = bias.max_violation_mean();
    v.violation_aux = aux.max_violation_mean();
    v.violation_neither = neither.max_violation_mean();
    v.loss_bias = bias.loss();
    v.loss_aux = aux.loss();
    v.loss_neither = neither.loss();
    verdicts.push_back(v);
  }
  return verdicts;
}

std::vector<std::vector<std::string>> balance_table(const std::vector<RunResult>& runs) {
  std::vector<std::vector<std::string>> table = {{"run", "gamma", "alpha", "held-out loss", "bits per byte", "MaxVio",
                                                  "worst layer", "specialisation", "greatest bias", "bias moved by"}};
  for (const RunResult& r : runs) {
    const train::Evaluation e = r.total();
    const std::vector<double> special = specialisation(r.kinds);
    double mean = 0;
    for (const double s : special) mean += s / static_cast<double>(special.size());
    table.push_back({r.plan.name, fmt::format("{}", r.plan.recipe.balance.gamma),
                     fmt::format("{}", r.plan.recipe.balance.alpha), fmt::format("{:.4f}", e.loss()),
                     fmt::format("{:.4f}", e.bits_per_byte()), fmt::format("{:.3f}", e.max_violation_mean()),
                     fmt::format("{:.3f}", e.max_violation_worst()), fmt::format("{:.3f}", mean),
                     r.bias_max == 0 ? "0" : fmt::format("{:.3f}", r.bias_max),
                     r.bias_change == 0 ? "0" : fmt::format("{:.3f}", r.bias_change)});
  }
  return table;
}

std::vector<std::vector<std::string>> verdict_table(const std::vector<BalanceVerdict>& verdicts) {
  std::vector<std::vector<std::string>> table = {
      {"seed", "MaxVio: bias", "aux", "neither", "bias is lower by", "loss: bias - neither", "aux - neither", "holds"}};
  for (const BalanceVerdict& v : verdicts)
    table.push_back({fmt::format("{}", v.seed), fmt::format("{:.3f}", v.violation_bias),
                     fmt::format("{:.3f}", v.violation_aux), fmt::format("{:.3f}", v.violation_neither),
                     fmt::format("{:.1f} x", v.ratio()), fmt::format("{:+.2f} %", 100 * v.loss_change()),
                     fmt::format("{:+.2f} %", 100 * v.loss_change_aux()), v.holds() ? "yes" : "no"});
  return table;
}

std::string balance_json(const std::vector<RunResult>& runs, const std::string& source) {
  json all = json::array(), verdicts = json::array();
  for (const RunResult& r : runs) all.push_back(json::parse(run_json(r)));
  bool holds = true;
  for (const BalanceVerdict& v : judge_balance(runs)) {
    verdicts.push_back({{"seed", v.seed},
                        {"max_violation_bias", v.violation_bias},
                        {"max_violation_aux", v.violation_aux},
                        {"max_violation_neither", v.violation_neither},
                        {"ratio", v.ratio()},
                        {"loss_change", v.loss_change()},
                        {"loss_change_aux", v.loss_change_aux()},
                        {"holds", v.holds()}});
    holds = holds && v.holds();
  }
  return json{{"study", "balance"},
              {"source", source},
              {"asked",
               {{"most_violation", kMostViolation},
                {"least_ratio", kLeastRatio},
                {"most_loss_change", kMostLossChange}}},
              {"holds", holds},
              {"verdicts", verdicts},
              {"runs", all}}
             .dump(1) +
         "\n";
}

}  // namespace hadal::eval
