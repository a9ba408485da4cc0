// Targets: tokens that are context alone count for nothing, in the trunk and in every module.
#include "train/objective.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/random_model.h"

namespace hadal::train {
namespace {

TEST(Objective, ContextsAreNoTargets) {
  constexpr std::int32_t kTokens = 13;
  test::Random random(4);
  model::Config config = test::small_v3(random);
  config.num_nextn_predict_layers = 2;
  ThreadPool pool(1);
  const kernels::Context cx(pool, kernels::Isa::ref);
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

}  // namespace
}  // namespace hadal::train
