// Gate 2: what trains is what serves, to the bit. Log-probs of packed training rows equal those of cached decode, for
// any mix of prefill and decode, any batch, any number of threads, on every ISA, in f32 and bf16.
#include <gtest/gtest.h>

#include "engine/cache.h"
#include "model/serve.h"
#include "ops/lm_loss.h"
#include "support/random_model.h"

namespace hadal {
namespace {

using engine::KvCache;
using engine::Sequence;
using engine::StepItem;
using test::Random;

struct Case {
  DType act;
  kernels::Isa isa;
  int threads;
};

// Training: all documents packed into one masked row; hidden states of every token.
Tensor packed_hidden(const kernels::Context& cx, const model::CausalLm& model,
                     const std::vector<std::vector<std::int32_t>>& documents) {
  std::vector<std::int32_t> row, starts, positions;
  for (const auto& d : documents) {
    starts.push_back(static_cast<std::int32_t>(row.size()));
    row.insert(row.end(), d.begin(), d.end());
    for (std::size_t i = 0; i < d.size(); ++i) positions.push_back(static_cast<std::int32_t>(i));
  }
  model::Batch batch = model::batch_of_rows({row}, {starts});
  batch.positions_T = Tensor::of<std::int32_t>(positions, {static_cast<std::int64_t>(positions.size())});
  return model.forward(cx, batch, {}).hidden_TD;
}

Tensor next_log_probs(const kernels::Context& cx, const model::CausalLm& model, const Tensor& hidden,
                      const std::vector<std::int32_t>& targets) {
  return ops::log_probs(cx, hidden, model.head(),
                        Tensor::of<std::int32_t>(targets, {static_cast<std::int64_t>(targets.size())}));
}

// Serving: documents advance in random pieces (whole prompts, chunks, single tokens), mixed in one batch at random.
std::vector<Tensor> served_hidden(const kernels::Context& cx, const model::CausalLm& model, Random& random,
                                  const std::vector<std::vector<std::int32_t>>& documents, nn::MlaForm form,
                                  std::int64_t crossover = 128) {
  std::int64_t total = 0;
  for (const auto& d : documents) total += static_cast<std::int64_t>(d.size()) + 64;
  KvCache cache(model, form, total);
  std::vector<Sequence> sequences(documents.size());
  std::vector<Tensor> hidden;
  hidden.reserve(documents.size());
  for (const auto& d : documents)
    hidden.push_back(Tensor::empty({static_cast<std::int64_t>(d.size()), model.config().hidden_size}, model.act()));
  for (;;) {
    std::vector<StepItem> items;
    std::vector<std::size_t> who;
    bool open = false;
    for (std::size_t d = 0; d < documents.size(); ++d) {
      const auto left = static_cast<std::int64_t>(documents[d].size()) - sequences[d].length;
      if (left == 0) continue;
      open = true;
      if (test::between(random, 0, 3) == 0) continue;
      const std::int64_t n = test::between(random, 0, 1) == 0 ? 1 : test::between(random, 1, left);
      items.push_back(
          {&sequences[d], std::span(documents[d])
                              .subspan(static_cast<std::size_t>(sequences[d].length), static_cast<std::size_t>(n))});
      who.push_back(d);
    }
    if (!open) return hidden;
    if (items.empty()) continue;
    const Tensor rows = engine::step(cx, model, cache, items, crossover).hidden_TD;
    std::int64_t at = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
      const auto n = static_cast<std::int64_t>(items[i].tokens.size());
      const std::int64_t end = sequences[who[i]].length;
      std::memcpy(hidden[who[i]].rows(end - n, end).raw(), rows.rows(at, at + n).raw(), rows.rows(at, at + n).bytes());
      at += n;
    }
  }
}

void check_parity(std::uint64_t seed, const Case& c, const std::vector<std::int64_t>& lengths) {
  SCOPED_TRACE(fmt::format("seed {} {} {} threads {}", seed, name_of(c.act), kernels::name_of(c.isa), c.threads));
  Random random(seed);
  ThreadPool pool(c.threads), one(1);
  const kernels::Context cx(pool, c.isa), alone(one, c.isa);
  model::CausalLm model(test::small_v3(random), c.act);
  test::randomise(model, random);
  std::vector<std::vector<std::int32_t>> documents;
  documents.reserve(lengths.size());
  for (const std::int64_t n : lengths) documents.push_back(test::random_tokens(random, n, model.config().vocab_size));
  const Tensor trained = packed_hidden(alone, model, documents);
  const std::vector<Tensor> served = served_hidden(cx, model, random, documents, nn::MlaForm::expanded);
  std::int64_t at = 0;
  for (std::size_t d = 0; d < documents.size(); ++d) {
    const auto n = static_cast<std::int64_t>(documents[d].size());
    const Tensor mine = trained.rows(at, at + n);
    at += n;
    ASSERT_TRUE(test::same_bits(mine, served[d]))
        << "hidden states of document " << d << " (" << n << " tokens) differ";
    const auto targets = test::random_tokens(random, n, model.config().vocab_size);
    ASSERT_TRUE(
        test::same_bits(next_log_probs(alone, model, mine, targets), next_log_probs(cx, model, served[d], targets)));
  }
}

// Packing for serving changes no bit, in any form, for prefill and decode.
TEST(ParityTest, PackedWeightsGiveTheSameBits) {
  for (const kernels::Isa isa : test::isas()) {
    for (const DType act : {DType::f32, DType::bf16}) {
      for (const nn::MlaForm form : {nn::MlaForm::expanded, nn::MlaForm::latent}) {
        SCOPED_TRACE(fmt::format("{} {} {}", kernels::name_of(isa), name_of(act), form == nn::MlaForm::latent));
        Random random(41);
        ThreadPool pool(3);
        const kernels::Context cx(pool, isa);
        model::CausalLm model(test::small_v3(random), act);
        test::randomise(model, random);
        std::vector<std::vector<std::int32_t>> documents;
        for (const std::int64_t n : {1, 9, 66, 30}) documents.push_back(test::random_tokens(random, n, 97));
        const auto served = [&] {
          Random cuts(7);
          std::vector<Tensor> all = served_hidden(cx, model, cuts, documents, form, 100000);
          for (std::size_t d = 0; d < documents.size(); ++d) all.push_back(model.logits(cx, all[d]));
          return all;
        };
        const std::vector<Tensor> before = served();
        model::pack_for_serving(cx, model);
        const std::vector<Tensor> after = served();
        for (std::size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(test::same_bits(before[i], after[i])) << i;
      }
    }
  }
}

class Parity : public testing::TestWithParam<std::tuple<DType, int>> {};

TEST_P(Parity, TrainingLogProbsEqualCachedDecode) {
  const auto [act, threads] = GetParam();
  std::uint64_t seed = 1000 * static_cast<std::uint64_t>(threads) + static_cast<std::uint64_t>(act);
  for (const kernels::Isa isa : test::isas()) {
    const bool slow = isa == kernels::Isa::ref;
    for (int i = 0; i < (slow ? 1 : 3); ++i) check_parity(++seed, {act, isa, threads}, {1, 7, 64, 65, 2, 33});
    if (!slow) check_parity(++seed, {act, isa, threads}, {130, 1, 517, 40});
  }
}

INSTANTIATE_TEST_SUITE_P(All, Parity,
                         testing::Combine(testing::Values(DType::f32, DType::bf16), testing::Values(1, 2, 3, 8)));

TEST(ParityTest, Batch64OfDecodesEqualsEachAlone) {
  for (const DType act : {DType::f32, DType::bf16}) {
    Random random(77);
    ThreadPool pool(2);
    const kernels::Context cx(pool, kernels::default_isa());
    model::CausalLm model(test::small_v3(random), act);
    test::randomise(model, random);
    std::vector<std::vector<std::int32_t>> documents;
    documents.reserve(64);
    for (int i = 0; i < 64; ++i) documents.push_back(test::random_tokens(random, test::between(random, 1, 20), 97));
    const std::vector<Tensor> together = served_hidden(cx, model, random, documents, nn::MlaForm::expanded);
    for (std::size_t d = 0; d < documents.size(); ++d) {
      const Tensor single = packed_hidden(cx, model, {documents[d]});
      ASSERT_TRUE(test::same_bits(single, together[d])) << d;
    }
  }
}

// Results agree across ISAs to the bit.
TEST(ParityTest, IsasAgree) {
  for (const DType act : {DType::f32, DType::bf16}) {
    Random random(5);
    model::CausalLm model(test::small_v3(random), act);
    test::randomise(model, random);
    const auto documents = std::vector{test::random_tokens(random, 150, 97), test::random_tokens(random, 9, 97)};
    ThreadPool pool(2);
    Tensor first;
    for (const kernels::Isa isa : test::isas()) {
      if (isa == kernels::Isa::ref) continue;
      const Tensor hidden = packed_hidden(kernels::Context(pool, isa), model, documents);
      if (!first.defined()) first = hidden;
      EXPECT_TRUE(test::same_bits(first, hidden)) << kernels::name_of(isa) << " " << name_of(act);
    }
  }
}

double relative_error(const Tensor& a, const Tensor& b) {
  double difference = 0, norm = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    const double x = a.data<float>()[i], y = b.data<float>()[i];
    difference += (x - y) * (x - y);
    norm += y * y;
  }
  return std::sqrt(difference / norm);
}

// The latent form does the same sums in another order: equal within rounding, expanded or absorbed chunk by chunk.
TEST(ParityTest, LatentFormEqualsExpandedWithinRounding) {
  for (const std::int64_t crossover : {0, 3, 100000}) {
    Random random(31);
    ThreadPool pool(2);
    const kernels::Context cx(pool, kernels::default_isa());
    model::CausalLm model(test::small_v3(random), DType::f32);
    test::randomise(model, random);
    const auto documents = std::vector{test::random_tokens(random, 140, 97), test::random_tokens(random, 5, 97)};
    const std::vector<Tensor> latent = served_hidden(cx, model, random, documents, nn::MlaForm::latent, crossover);
    for (std::size_t d = 0; d < documents.size(); ++d) {
      const double error = relative_error(latent[d], packed_hidden(cx, model, {documents[d]}));
      EXPECT_LT(error, 1e-5) << "crossover " << crossover;
    }
  }
}

// Only the latent rows of a request are its own business, too: the batch it travels in changes nothing.
TEST(ParityTest, LatentFormDoesNotDependOnTheBatch) {
  Random random(32);
  ThreadPool pool(3), one(1);
  const kernels::Context cx(pool, kernels::default_isa()), alone(one, kernels::default_isa());
  model::CausalLm model(test::small_v3(random), DType::bf16);
  test::randomise(model, random);
  std::vector<std::vector<std::int32_t>> documents;
  documents.reserve(9);
  for (int i = 0; i < 9; ++i) documents.push_back(test::random_tokens(random, test::between(random, 1, 90), 97));
  // Absorbed for every number of new tokens, so that the random cuts of served_hidden do not choose the form.
  const std::vector<Tensor> together = served_hidden(cx, model, random, documents, nn::MlaForm::latent, 100000);
  for (std::size_t d = 0; d < documents.size(); ++d) {
    const std::vector<Tensor> single = served_hidden(alone, model, random, {documents[d]}, nn::MlaForm::latent, 100000);
    EXPECT_TRUE(test::same_bits(single[0], together[d])) << d;
  }
}

}  // namespace
}  // namespace hadal
