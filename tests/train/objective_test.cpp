// Targets: tokens that are context alone count for nothing, in the trunk and in every module.
#include "train/objective.h"

#include <gtest/gtest.h>

#include <cmath>

#include "small_run.h"
#include "support/random_model.h"

namespace hadal::train {
namespace {

TEST(Objective, ContextsAreNoTargets) {
  constexpr std::int32_t kTokens = 13;
  test::Random random(4);
  model::Config config = test::small_v3(random);
  config.num_nextn_predict_layers = 2;
  ThreadPool pool(1);
  const kernels::Context cx(pool, kernels::default_isa());
  model::CausalLm model(config, DType::f32);
  test::randomise(model, random);
  TrainRows rows;
  for (int r = 0; r < 2; ++r) rows.tokens.push_back(test::random_tokens(random, kTokens, config.vocab_size));
  ObjectiveSettings s;
  s.global_tokens = rows.loss_tokens();
  s.global_rows = 2;
  const ObjectiveResult all = run_objective(cx, model, rows, s);
  // With every place of the rows but one a context, what is left is that token's own part of the sums.
  double main = 0;
  std::vector<double> mtp(2);
  for (std::size_t r = 0; r < 2; ++r) {
    for (std::int32_t target = 1; target < kTokens; ++target) {
      rows.contexts.assign(2, {});
      for (std::size_t q = 0; q < 2; ++q) {
        for (std::int32_t i = 1; i < kTokens; ++i) {
          if (q != r || i != target) rows.contexts[q].push_back(i);
        }
      }
      const ObjectiveResult one = run_objective(cx, model, rows, s);
      EXPECT_GT(one.main, 0);
      main += one.main;
      for (std::size_t k = 0; k < 2; ++k) {
        EXPECT_EQ(one.mtp[k] > 0, target >= static_cast<std::int32_t>(k) + 2) << "module " << k << " target " << target;
        mtp[k] += one.mtp[k];
      }
    }
  }
  // Sums of 24 numbers of one sign in double.
  EXPECT_NEAR(main, all.main, 24 * 0x1p-52 * all.main);
  for (std::size_t k = 0; k < 2; ++k) EXPECT_NEAR(mtp[k], all.mtp[k], 24 * 0x1p-52 * all.mtp[k]);
}

// Rows of which all but the first targets are contexts.
class ContextRows : public NumberedRows {
 public:
  using NumberedRows::NumberedRows;
  SourceRow next() override {
    SourceRow row = NumberedRows::next();
    for (std::int32_t i = 4; i <= kRowTokens; ++i) row.contexts.push_back(i);
    return row;
  }
};

TEST(Objective, AStepLeavesContextsOut) {
  const std::vector<std::string> overrides = {"train.tokens=96"};
  SmallRun all(overrides), few(overrides);
  ContextRows rows(small_config().vocab_size);
  few.source = &rows;
  const test::TempFolder f;
  all.train_in(f / "all");
  few.train_in(f / "few");
  ASSERT_EQ(few.steps.size(), 1u);
  // 3 of 24 targets count, the divisor stays; a new model's losses are about the logarithm of its vocabulary.
  EXPECT_NEAR(few.steps[0].lm_loss / all.steps[0].lm_loss, 3.0 / kRowTokens, 0.25 * 3.0 / kRowTokens);
}

}  // namespace
}  // namespace hadal::train
