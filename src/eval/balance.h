// The balance study: the same model trained with the gate bias (V3 §2.1.2), with the auxiliary loss, and with neither;
// same data and initial weights for the three. Sweeps of gamma and alpha on the first seed, and a run that goes on from
// the first seed's biased model with gamma = 0: its bias stands still.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "eval/study.h"
#include "model/config.h"

namespace hadal::eval {

struct BalanceSettings {
  std::vector<std::int64_t> seeds;
  std::vector<double> gammas, alphas;  // beside the recipe's, first seed only
};

// balance.gamma of the recipe is that of the runs with the bias, balance.alpha that of the runs with the auxiliary
// loss. Throws Error if one is 0, another balance loss is on, or the model's gate has no bias.
std::vector<Plan> plan_balance(const train::Recipe& recipe, const model::Config& config, const BalanceSettings& s);

// What is asked of the bias, for one seed: MaxVio over the held-out text (mean of the layers) at most kMostViolation
// and at least kLeastRatio times lower than with neither; held-out loss within kMostLossChange of it.
inline constexpr double kMostViolation = 0.5, kLeastRatio = 3, kMostLossChange = 0.005;
struct BalanceVerdict {
  std::int64_t seed = 0;
  double violation_bias = 0, violation_aux = 0, violation_neither = 0;
  double loss_bias = 0, loss_aux = 0, loss_neither = 0;
  double ratio() const { return violation_neither / violation_bias; }
  double loss_change() const { return loss_bias / loss_neither - 1; }
  double loss_change_aux() const { return loss_aux / loss_neither - 1; }
  bool holds() const;
};
std::vector<BalanceVerdict> judge_balance(const std::vector<RunResult>& runs);

// Rows for a terminal or a page, header first.
std::vector<std::vector<std::string>> balance_table(const std::vector<RunResult>& runs);
std::vector<std::vector<std::string>> verdict_table(const std::vector<BalanceVerdict>& verdicts);

// source: where the text is from.
std::string balance_json(const std::vector<RunResult>& runs, const std::string& source);
// One self-contained page. config: of the runs' model.
void write_balance_report(const std::filesystem::path& path, const std::vector<RunResult>& runs,
                          const model::Config& config, const std::string& source);

}  // namespace hadal::eval
