// What a study counts on held-out text.
#include "eval/measure.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "support/random_model.h"
#include "support/temp_folder.h"
#include "train/optimizer.h"

namespace hadal::eval {
namespace {

KindResult kind_with_loads(const std::string& name, std::vector<std::vector<std::int64_t>> loads) {
  KindResult k{name, {}};
  k.evaluation.loads_LE = std::move(loads);
  return k;
}

// A small model with two MTP modules and two kinds of random text, the last row of each shorter.
struct Fixture {
  Fixture() : pool(2), cx(pool, kernels::default_isa()), lm(config(), DType::f32) {
    test::Random random(3);
    test::randomise(lm, random);
    for (const char* name : {"a", "b"}) {
      Kind kind{name, {}};
      for (const std::int64_t length : {13, 13, 6})
        kind.rows.push_back(test::random_tokens(random, length, lm.config().vocab_size));
      kinds.push_back(kind);
    }
  }
  static model::Config config() {
    test::Random random(5);
    model::Config c = test::small_v3(random);
    c.num_nextn_predict_layers = 2;
    return c;
  }
  std::vector<KindResult> measured() const {
    auto found = measure(
        cx, lm, kinds, [](std::int32_t id) { return std::int64_t{1} + id % 2; }, nullptr, nullptr);
    if (!found) throw std::runtime_error("nobody stopped it, and it gave nothing");
    return *std::move(found);
  }

  ThreadPool pool;
  kernels::Context cx;
  model::CausalLm lm;
  std::vector<Kind> kinds;
};

TEST(Measure, EveryPredictionIsCountedOnceAtItsPosition) {
  const Fixture f;
  for (const KindResult& k : f.measured()) {
    const train::Evaluation& e = k.evaluation;
    EXPECT_EQ(e.tokens, 12 + 12 + 5);
    EXPECT_EQ(e.tokens_T, (std::vector<std::int64_t>{3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2}));
    EXPECT_NEAR(std::accumulate(e.nats_T.begin(), e.nats_T.end(), 0.0), e.nats, 1e-12 * e.nats);
    for (const auto& loads : e.loads_LE)
      EXPECT_EQ(std::accumulate(loads.begin(), loads.end(), std::int64_t{0}),
                e.tokens * f.lm.config().num_experts_per_tok);
  }
}

TEST(Measure, AChainOfDraftsKeepsNoMoreThanItsLinks) {
  const Fixture f;
  const train::Evaluation e = total_of(f.measured());
  // Module k guesses from all slots of a row but the last k.
  EXPECT_EQ(e.drafts, (std::vector<std::int64_t>{2 * (11 + 11 + 4), 2 * (10 + 10 + 3)}));
  EXPECT_EQ(e.chained[0], e.accepted[0]);
  EXPECT_LE(e.chained[1], std::min(e.accepted[0], e.accepted[1]));
}

TEST(Measure, TheTotalIsTheTextInOnePiece) {
  const Fixture f;
  const train::Evaluation total = total_of(f.measured());
  auto rows = f.kinds[0].rows;
  rows.insert(rows.end(), f.kinds[1].rows.begin(), f.kinds[1].rows.end());
  const train::Evaluation whole = *train::evaluate(
      f.cx, f.lm, rows, [](std::int32_t id) { return std::int64_t{1} + id % 2; }, nullptr);
  EXPECT_EQ(total.tokens, whole.tokens);
  EXPECT_EQ(total.bytes, whole.bytes);
  EXPECT_EQ(total.loads_LE, whole.loads_LE);
  EXPECT_EQ(total.drafts, whole.drafts);
  EXPECT_EQ(total.accepted, whole.accepted);
  EXPECT_EQ(total.chained, whole.chained);
  EXPECT_EQ(total.tokens_T, whole.tokens_T);
  EXPECT_NEAR(total.nats, whole.nats, 1e-12 * whole.nats);
}

TEST(Measure, StopsBetweenKinds) {
  const Fixture f;
  std::atomic<bool> stop{false};
  std::int64_t seen = 0;
  const auto result = measure(
      f.cx, f.lm, f.kinds, [](std::int32_t) { return std::int64_t{1}; }, &stop,
      [&](std::int64_t n) {
        seen = n;
        stop = true;
      });
  EXPECT_FALSE(result.has_value());
  EXPECT_EQ(seen, 29);
}

TEST(Measure, TextGivesTheSameBack) {
  const Fixture f;
  const auto kinds = f.measured();
  const auto again = from_text(to_text(kinds, "key"), "key", "file");
  if (!again) FAIL() << "nothing came back";
  ASSERT_EQ(again->size(), kinds.size());
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const train::Evaluation &a = kinds[i].evaluation, &b = (*again)[i].evaluation;
    EXPECT_EQ((*again)[i].name, kinds[i].name);
    EXPECT_EQ(b.nats, a.nats);
    EXPECT_EQ(b.bytes, a.bytes);
    EXPECT_EQ(b.loads_LE, a.loads_LE);
    EXPECT_EQ(b.chained, a.chained);
    EXPECT_EQ(b.nats_T, a.nats_T);
    EXPECT_EQ(b.tokens_T, a.tokens_T);
  }
  EXPECT_FALSE(from_text(to_text(kinds, "key"), "other", "file").has_value());
  EXPECT_NE(
      test::error_of([] { (void)from_text("{\"key\": \"key\"}", "key", "x/measured.json"); }).find("x/measured.json"),
      std::string::npos);
}

TEST(Measure, TheHashSeesEveryTokenNameAndBorder) {
  const std::vector<Kind> base = {{"a", {{1, 2, 3}, {4, 5}}}};
  const std::vector<std::vector<Kind>> others = {{{"b", {{1, 2, 3}, {4, 5}}}},
                                                 {{"a", {{1, 2, 3}, {4, 6}}}},
                                                 {{"a", {{1, 2}, {3, 4, 5}}}},
                                                 {{"a", {{1, 2, 3}}}, {"a", {{4, 5}}}},
                                                 {{"a", {{4, 5}, {1, 2, 3}}}}};
  for (std::size_t i = 0; i < others.size(); ++i) EXPECT_NE(hash_of(others[i]), hash_of(base)) << i;
}

TEST(Measure, SpecialisationIsTheDistanceOfLoads) {
  // Layer 1: both kinds alike (one has twice the tokens). Layer 2: each has experts of its own: half of the load of
  // either is where the mean has it, half is not.
  const auto s = specialisation({kind_with_loads("a", {{1, 3}, {4, 0}}), kind_with_loads("b", {{2, 6}, {0, 8}})});
  ASSERT_EQ(s.size(), 2u);
  EXPECT_EQ(s[0], 0);
  EXPECT_EQ(s[1], 0.5);
}

TEST(Measure, PositionsGoInRangesThatDouble) {
  train::Evaluation e;
  e.nats_T = {1, 2, 3, 5, 8, 8};
  e.tokens_T = {1, 1, 1, 1, 1, 3};
  const auto ranges = loss_by_position(e);
  ASSERT_EQ(ranges.size(), 4u);
  const std::vector<PositionRange> expected = {{1, 1, 1}, {2, 2, 2}, {3, 4, 4}, {5, 6, 4}};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(ranges[i].first, expected[i].first);
    EXPECT_EQ(ranges[i].last, expected[i].last);
    EXPECT_EQ(ranges[i].loss, expected[i].loss);
  }
}

}  // namespace
}  // namespace hadal::eval
