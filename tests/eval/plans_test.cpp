// What the studies train, and how they judge it.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "eval/balance.h"
#include "eval/mtp.h"
#include "model/accounting.h"
#include "support/temp_folder.h"

namespace hadal::eval {
namespace {

train::Recipe recipe_of(const std::vector<std::string>& more = {}) {
  std::vector<std::string> all = {"model.preset=study",  "train.tokens=400000", "data.sequence_length=256",
                                  "balance.gamma=0.005", "balance.alpha=0.01",  "balance.gamma_final=0.001"};
  all.insert(all.end(), more.begin(), more.end());
  return train::load_recipe({}, all);
}

std::vector<std::string> names_of(const std::vector<Plan>& plans) {
  std::vector<std::string> names;
  names.reserve(plans.size());
  for (const Plan& p : plans) names.push_back(p.name);
  return names;
}

TEST(Plans, TheThreeVariantsOfASeedDifferInGammaAndAlphaAlone) {
  const std::vector<Plan> plans = plan_balance(recipe_of(), model::preset("study"), {{3, 8}, {}, {}});
  EXPECT_EQ(names_of(plans), (std::vector<std::string>{"seed3-bias", "seed3-aux", "seed3-neither", "seed8-bias",
                                                       "seed8-aux", "seed8-neither", "seed3-frozen"}));
  for (std::size_t seed = 0; seed < 2; ++seed) {
    const train::Recipe &bias = plans[3 * seed].recipe, &aux = plans[3 * seed + 1].recipe,
                        &neither = plans[3 * seed + 2].recipe;
    EXPECT_EQ(bias.model.seed, seed == 0 ? 3 : 8);
    EXPECT_EQ(bias.data.seed, bias.model.seed);
    EXPECT_EQ(train::differences(bias, neither),
              (std::vector<std::string>{"balance.gamma: 0.005 -> 0.0", "balance.gamma_final: 0.001 -> 0.0"}));
    EXPECT_EQ(train::differences(aux, neither), (std::vector<std::string>{"balance.alpha: 0.01 -> 0.0"}));
  }
  EXPECT_EQ(plans.back().from, "seed3-bias");
  EXPECT_EQ(plans.back().recipe.balance.gamma, 0);
  EXPECT_EQ(plans.back().recipe.balance.gamma_final, 0);
}

TEST(Plans, SweepsAreOnTheFirstSeedAndRepeatNoRun) {
  const std::vector<Plan> plans =
      plan_balance(recipe_of(), model::preset("study"), {{1, 2}, {0, 0.001, 0.005}, {0.1, 0.01}});
  EXPECT_EQ(names_of({plans.begin() + 6, plans.end()}),
            (std::vector<std::string>{"seed1-gamma-0.001", "seed1-alpha-0.1", "seed1-frozen"}));
  EXPECT_EQ(plans[6].recipe.balance.alpha, 0);
  EXPECT_EQ(plans[7].recipe.balance.gamma, 0);
  EXPECT_EQ(plans[7].recipe.balance.gamma_final, 0);
}

TEST(Plans, WhatCannotBeComparedIsAnError) {
  const auto error = [](const std::vector<std::string>& more, const std::string& preset) {
    return test::error_of([&] { (void)plan_balance(recipe_of(more), model::preset(preset), {{1}, {}, {}}); });
  };
  EXPECT_EQ(error({}, "study"), "");
  EXPECT_NE(error({}, "v2").find("no gate with a bias"), std::string::npos);
  EXPECT_NE(error({"balance.gamma=0"}, "study").find("balance.gamma = 0"), std::string::npos);
  EXPECT_NE(error({"balance.alpha=0"}, "study").find("balance.alpha = 0"), std::string::npos);
  EXPECT_NE(error({"balance.device_alpha=0.1"}, "study").find("balance.device_alpha"), std::string::npos);
}

TEST(Plans, MtpAndPlainMoreTakeTheSameCompute) {
  const test::TempFolder folder;
  const std::vector<Plan> plans = plan_mtp(recipe_of(), model::preset("study"), 2, {5}, folder.path());
  EXPECT_EQ(names_of(plans), (std::vector<std::string>{"seed5-mtp", "seed5-plain", "seed5-plain-more"}));
  std::vector<double> flops;
  for (const Plan& p : plans) {
    const model::Config c = model::load_config(p.recipe.model.config);
    EXPECT_EQ(c.num_nextn_predict_layers, p.variant == "mtp" ? 2 : 0);
    flops.push_back(model::train_flops_per_token(c, 256) * static_cast<double>(p.recipe.train.tokens));
    EXPECT_EQ(p.recipe.model.seed, 5);
    EXPECT_EQ(p.recipe.data.seed, 5);
  }
  EXPECT_EQ(plans[0].recipe.train.tokens, plans[1].recipe.train.tokens);
  EXPECT_GT(flops[0], 1.3 * flops[1]);
  EXPECT_NEAR(flops[2] / flops[0], 1, 1.0 / static_cast<double>(plans[2].recipe.train.tokens));
  const auto error = [&](const std::vector<std::string>& more) {
    return test::error_of([&] { (void)plan_mtp(recipe_of(more), model::preset("study"), 2, {5}, folder.path()); });
  };
  EXPECT_NE(error({"data.sequence_length=2"}).find("--modules 2"), std::string::npos);
  EXPECT_NE(error({"mtp.lambda=0"}).find("mtp.lambda"), std::string::npos);
}

// Of 100 tokens over two experts, the busier with `most`.
RunResult run_of(const std::string& variant, std::int64_t seed, std::int64_t most, double loss) {
  RunResult r;
  r.plan = {fmt::format("seed{}-{}", seed, variant), variant, recipe_of(), ""};
  r.plan.recipe.model.seed = seed;
  train::Evaluation e;
  e.tokens = 100;
  e.nats = 100 * loss;
  e.loads_LE = {{most, 100 - most}};
  e.nats_T = {loss, loss + 1};
  e.tokens_T = {1, 1};
  r.kinds = {{"text", e}};
  return r;
}

BalanceVerdict verdict_of(std::int64_t bias, std::int64_t neither, double loss_bias) {
  return judge_balance(
             {run_of("bias", 1, bias, loss_bias), run_of("aux", 1, 60, 4.1), run_of("neither", 1, neither, 4.0)})
      .front();
}

TEST(Judge, TheBiasHasThreeConditions) {
  EXPECT_TRUE(verdict_of(60, 90, 4.01).holds());   // 0.2 against 0.8
  EXPECT_FALSE(verdict_of(60, 75, 4.01).holds());  // 0.2 against 0.5: less than three times
  EXPECT_FALSE(verdict_of(80, 99, 4.01).holds());  // 0.6
  EXPECT_FALSE(verdict_of(60, 90, 4.03).holds());  // 0.75 % more loss
  EXPECT_FALSE(verdict_of(60, 90, 3.97).holds());  // or less
  const BalanceVerdict v = verdict_of(60, 90, 4.01);
  EXPECT_NEAR(v.violation_bias, 0.2, 1e-12);
  EXPECT_NEAR(v.ratio(), 4, 1e-12);
  EXPECT_NEAR(v.loss_change(), 0.0025, 1e-12);
  EXPECT_NEAR(v.loss_change_aux(), 0.025, 1e-12);
}

TEST(Judge, SeedsAreComparedWithTheirOwn) {
  const auto verdicts =
      judge_balance({run_of("bias", 1, 60, 4), run_of("aux", 1, 60, 4), run_of("neither", 1, 90, 4),
                     run_of("bias", 2, 55, 3), run_of("aux", 2, 70, 3), run_of("neither", 2, 95, 3.3)});
  ASSERT_EQ(verdicts.size(), 2u);
  EXPECT_EQ(verdicts[1].seed, 2);
  EXPECT_NEAR(verdicts[1].violation_neither, 0.9, 1e-12);
  EXPECT_NEAR(verdicts[1].loss_change(), 3 / 3.3 - 1, 1e-12);
}

TEST(Judge, TheGainByPositionIsAMeanOverSeeds) {
  const std::vector<RunResult> runs = {run_of("mtp", 1, 60, 3),        run_of("plain", 1, 60, 4),
                                       run_of("plain-more", 1, 60, 5), run_of("mtp", 2, 60, 3.5),
                                       run_of("plain", 2, 60, 3.7),    run_of("plain-more", 2, 60, 3.5)};
  const auto data = gain_by_position(runs, "plain"), compute = gain_by_position(runs, "plain-more");
  ASSERT_EQ(data.size(), 2u);
  EXPECT_EQ(data[1].first, 2);
  EXPECT_NEAR(data[1].loss, -0.6, 1e-12);
  EXPECT_NEAR(compute[0].loss, -1, 1e-12);
  EXPECT_NEAR(judge_mtp(runs)[1].change_same_data(), 3.5 / 3.7 - 1, 1e-12);
}

}  // namespace
}  // namespace hadal::eval
