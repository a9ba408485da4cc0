// The fast kernels against the definition, to the bit: every ISA of this machine, any split of the work.
#include <gtest/gtest.h>

#include <algorithm>

#include "attention_problem.h"

namespace hadal::test {
namespace {

using kernels::Context;
using kernels::Isa;

std::vector<Isa> fast_isas() {
  std::vector<Isa> list;
  for (const Isa isa : {Isa::avx2, Isa::avx512, Isa::avx512bf16}) {
    if (kernels::supported(isa)) list.push_back(isa);
  }
  return list;
}

const std::vector<AttentionShape> kShapes = {
    {1, 1, 1, 0, 1},       // the smallest
    {3, 3, 7, 5, 11},      // primes: pairs straddle k1 and k2
    {4, 4, 64, 32, 64},    // the bench's heads
    {2, 2, 128, 64, 128},  // DeepSeek's heads
    {6, 2, 40, 0, 24},     // GQA
    {6, 3, 17, 9, 33},     // GQA with a shared part, odd sizes
    {5, 1, 512, 64, 512},  // absorbed: one key head, two chunks of the dot product
};
const std::vector<i64> kLengths = {1, 2, 63, 64, 65, 130};

// A random split of all sequences into calls of prefill, several new rows, and single rows, through a poisoned cache.
template <class T>
ForwardResult<T> forward_in_parts(const Context& cx, const AttentionProblem<T>& p, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  PoisonedCache<T> cache(p, seed);
  ForwardResult<T> result(p);
  kernels::Attention a = p.forward_params();
  a.out = result.out.data();
  a.lse = result.lse.data();
  for (;;) {
    std::vector<kernels::AttentionSequence> calls;
    for (i64 s = 0; s < p.sequences(); ++s) {
      const i64 left = cache.left(s), kind = static_cast<i64>(random() % 4);
      if (left == 0 || kind == 0) continue;
      const i64 most = kind == 1 ? 1 : kind == 2 ? 5 : 300;
      calls.push_back(
          cache.append(s, std::min<i64>(left, 1 + static_cast<i64>(random() % static_cast<std::uint64_t>(most)))));
    }
    a.sequences = calls.data();
    a.sequence_count = static_cast<i64>(calls.size());
    kernels::run(cx, a);
    bool done = true;
    for (i64 s = 0; s < p.sequences(); ++s) done = done && cache.left(s) == 0;
    if (done) return result;
  }
}

template <class T>
void check_equal_to_definition(const AttentionShape& shape, const std::vector<i64>& lengths, int threads) {
  const AttentionProblem<T> p(shape, lengths, 11);
  ThreadPool pool(threads);
  const Context ref(pool, Isa::ref);
  const ForwardResult<T> f = forward(ref, p);
  const BackwardResult<T> b = backward(ref, p, f);
  for (const Isa isa : fast_isas()) {
    SCOPED_TRACE(fmt::format("{} {} {}", name_of(isa), shape.name(), name_of(dtype_of<T>::value)));
    const Context cx(pool, isa);
    const ForwardResult<T> fast = forward(cx, p);
    EXPECT_TRUE(fast.out == f.out);
    EXPECT_TRUE(fast.lse == f.lse);
    EXPECT_TRUE(fast.out.intact() && fast.lse.intact());
    const BackwardResult<T> back = backward(cx, p, f);
    EXPECT_TRUE(back.dq == b.dq);
    EXPECT_TRUE(back.dkv == b.dkv);
    EXPECT_TRUE(back.dk2 == b.dk2);
    EXPECT_TRUE(back.dq.intact() && back.dkv.intact() && back.dk2.intact());
  }
}

TEST(Attention, EqualsDefinitionToTheBit) {
  for (const AttentionShape& shape : kShapes) {
    check_equal_to_definition<float>(shape, kLengths, 2);
    check_equal_to_definition<bf16>(shape, kLengths, 2);
  }
}

TEST(Attention, EqualsDefinitionAcrossChunksOfKeys) {
  for (const AttentionShape& shape : {AttentionShape{2, 2, 16, 8, 16}, AttentionShape{4, 1, 9, 0, 7}}) {
    check_equal_to_definition<float>(shape, {511, 513, 1025}, 2);
    check_equal_to_definition<bf16>(shape, {512, 1111}, 2);
  }
}

template <class T>
void check_parts(const AttentionShape& shape, const std::vector<i64>& lengths) {
  const AttentionProblem<T> p(shape, lengths, 5);
  for (const Isa isa : fast_isas()) {
    ThreadPool one(1);
    const Context alone(one, isa);
    const ForwardResult<T> whole = forward(alone, p);
    for (const int threads : {1, 2, 3, 8}) {
      SCOPED_TRACE(
          fmt::format("{} {} {} threads {}", name_of(isa), shape.name(), name_of(dtype_of<T>::value), threads));
      ThreadPool pool(threads);
      const Context cx(pool, isa);
      const ForwardResult<T> parts = forward_in_parts(cx, p, static_cast<std::uint64_t>(threads));
      EXPECT_TRUE(parts == whole);
      EXPECT_TRUE(parts.out.intact() && parts.lse.intact());
    }
  }
}

TEST(Attention, PrefillAndDecodeInAnyMixGiveTheBitsOfTraining) {
  check_parts<float>({3, 3, 24, 8, 20}, {1, 70, 129, 700});
  check_parts<bf16>({3, 3, 24, 8, 20}, {1, 70, 129, 700});
  check_parts<float>({6, 2, 13, 0, 9}, {64, 600, 3});
  check_parts<bf16>({6, 2, 13, 0, 9}, {64, 600, 3});
  check_parts<bf16>({16, 1, 96, 16, 96}, {200, 40});
}

// One row over a long context: the chunks of its keys run on different threads.
TEST(Attention, SplitContextGivesTheSameBits) {
  const AttentionProblem<bf16> p({4, 1, 48, 16, 48}, {2600}, 7);
  for (const Isa isa : fast_isas()) {
    ThreadPool one(1);
    const Context alone(one, isa);
    const ForwardResult<bf16> whole = forward(alone, p);
    PoisonedCache<bf16> cache(p, 3);
    cache.append(0, 2590);
    ThreadPool pool(8);
    const Context cx(pool, isa);
    ForwardResult<bf16> rows(p);
    for (const i64 count : {1, 3, 1, 5}) {
      const kernels::AttentionSequence seq = cache.append(0, count);
      kernels::Attention a = p.forward_params();
      a.out = rows.out.data();
      a.sequences = &seq;
      a.sequence_count = 1;
      kernels::run(cx, a);
      const i64 width = 4 * 48, at = seq.row_begin * width;
      EXPECT_EQ(std::memcmp(&rows.out[at], &whole.out[at], static_cast<std::size_t>(count * width) * 2), 0)
          << name_of(isa);
    }
    EXPECT_TRUE(rows.out.intact());
  }
}

// One new row of each sequence against the definition: whatever heads share a key head, wherever the last tile ends,
// however many threads take the sequences, heads or chunks apart.
template <class T>
void check_decode(const AttentionShape& shape, const std::vector<i64>& lengths) {
  const AttentionProblem<T> p(shape, lengths, 13);
  PoisonedCache<T> cache(p, 17);
  std::vector<kernels::AttentionSequence> calls;
  for (i64 s = 0; s < p.sequences(); ++s) {
    if (cache.left(s) > 1) cache.append(s, cache.left(s) - 1);
    calls.push_back(cache.append(s, 1));
  }
  const auto decode = [&](const Context& cx, std::size_t first, std::size_t count) {
    ForwardResult<T> result(p);
    kernels::Attention a = p.forward_params();
    a.out = result.out.data();
    a.lse = result.lse.data();
    a.sequences = calls.data() + first;
    a.sequence_count = static_cast<i64>(count);
    kernels::run(cx, a);
    return result;
  };
  ThreadPool one(1);
  const ForwardResult<T> all = decode(Context(one, Isa::ref), 0, calls.size());
  const ForwardResult<T> last = decode(Context(one, Isa::ref), calls.size() - 1, 1);
  for (const Isa isa : fast_isas()) {
    for (int threads = 1; threads <= 8; ++threads) {
      SCOPED_TRACE(
          fmt::format("{} {} {} threads {}", name_of(isa), shape.name(), name_of(dtype_of<T>::value), threads));
      ThreadPool pool(threads);
      const Context cx(pool, isa);
      const ForwardResult<T> batch = decode(cx, 0, calls.size()), alone = decode(cx, calls.size() - 1, 1);
      EXPECT_TRUE(batch == all);
      EXPECT_TRUE(alone == last);
      EXPECT_TRUE(batch.out.intact() && batch.lse.intact() && alone.out.intact() && alone.lse.intact());
    }
  }
}

TEST(Attention, OneNewRowASequenceEqualsTheDefinition) {
  for (const AttentionShape& shape : {AttentionShape{8, 1, 96, 32, 96},    // absorbed: whole vectors of pairs
                                      AttentionShape{16, 1, 40, 8, 72},    // pieces that end within a vector
                                      AttentionShape{5, 1, 7, 5, 33},      // pairs straddle the pieces
                                      AttentionShape{17, 1, 32, 0, 24},    // more rows than are few
                                      AttentionShape{12, 4, 16, 16, 130},  // GQA
                                      AttentionShape{3, 3, 64, 32, 64}}) {
    check_decode<float>(shape, {40, 544});
    check_decode<bf16>(shape, {40, 544});
    check_decode<bf16>(shape, {1, 1100, 577, 64});
  }
  check_decode<bf16>({8, 1, 512, 64, 512}, {1, 90});  // two chunks of the dot product
  check_decode<float>({8, 1, 512, 64, 512}, {90});
}

TEST(Attention, SequenceAloneEqualsSequenceInBatch) {
  const AttentionShape shape{4, 2, 24, 8, 16};
  const AttentionProblem<bf16> batch(shape, {33, 130, 65}, 9);
  AttentionProblem<bf16> alone(shape, {130}, 1);
  const auto cut = [&](Guarded<bf16>& to, const Guarded<bf16>& from, i64 width) {
    std::copy_n(from.data() + 33 * width, 130 * width, to.data());
  };
  cut(alone.q, batch.q, batch.q_width);
  cut(alone.kv, batch.kv, batch.kv_width);
  cut(alone.k2, batch.k2, shape.d2);
  cut(alone.d_out, batch.d_out, shape.heads * shape.dv);
  const auto equal = [](const Guarded<bf16>& all, const Guarded<bf16>& part, i64 width) {
    return std::memcmp(all.data() + 33 * width, part.data(), static_cast<std::size_t>(130 * width) * sizeof(bf16)) == 0;
  };
  for (const Isa isa : fast_isas()) {
    ThreadPool pool(3), one(1);
    const Context many(pool, isa), single(one, isa);
    const auto f_all = forward(many, batch), f_one = forward(single, alone);
    EXPECT_TRUE(equal(f_all.out, f_one.out, shape.heads * shape.dv));
    const auto b_all = backward(many, batch, f_all), b_one = backward(single, alone, f_one);
    EXPECT_TRUE(equal(b_all.dq, b_one.dq, batch.q_width));
    EXPECT_TRUE(equal(b_all.dkv, b_one.dkv, batch.kv_width));
    EXPECT_TRUE(equal(b_all.dk2, b_one.dk2, shape.d2));
  }
}

TEST(Attention, GradientsDoNotDependOnThreads) {
  const AttentionProblem<bf16> p({4, 2, 24, 8, 16}, {33, 600, 65}, 9);
  for (const Isa isa : fast_isas()) {
    ThreadPool one(1);
    const Context alone(one, isa);
    const auto f = forward(alone, p);
    const auto b = backward(alone, p, f);
    for (const int threads : {2, 3, 8}) {
      ThreadPool pool(threads);
      const Context cx(pool, isa);
      EXPECT_TRUE(forward(cx, p) == f);
      EXPECT_TRUE(backward(cx, p, f) == b);
    }
  }
}

// Values one step of bf16 apart: what the scores can learn is as small as the rounding of `out`, and dS must not come
// from it. Against f32, whose `out` has sixteen more bits; then dq's error is the rounding of dS, of dq and of their
// products.
TEST(Attention, GradientsOfTheFirstTileDoNotSeeTheRoundingOfTheOutput) {
  const AttentionShape shape{2, 2, 24, 8, 16};
  AttentionProblem<bf16> p(shape, {1, 2, 17, 64}, 4);
  AttentionProblem<float> exact(shape, {1, 2, 17, 64}, 4);
  std::mt19937_64 random(7);
  for (i64 r = 0; r < p.rows; ++r) {
    for (i64 h = 0; h < 2; ++h) {
      for (i64 c = 24; c < 40; ++c) p.kv[r * p.kv_width + h * 40 + c] = bf16(random() % 2 != 0 ? 1.0f : 1.0078125f);
    }
  }
  const auto copy = [](auto& to, const auto& from) {
    for (i64 i = 0; i < to.size(); ++i) to[i] = static_cast<float>(from[i]);
  };
  copy(exact.q, p.q);
  copy(exact.kv, p.kv);
  copy(exact.k2, p.k2);
  copy(exact.d_out, p.d_out);
  std::vector<Isa> isas = fast_isas();
  isas.push_back(Isa::ref);
  for (const Isa isa : isas) {
    ThreadPool pool(2);
    const Context cx(pool, isa);
    const auto found = backward(cx, p, forward(cx, p));
    const auto wanted = backward(cx, exact, forward(cx, exact));
    double wrong = 0, size = 0;
    for (i64 i = 0; i < found.dq.size(); ++i) {
      const double w = wanted.dq[i], f = static_cast<float>(found.dq[i]);
      wrong += (f - w) * (f - w);
      size += w * w;
      if (i < p.q_width) {
        ASSERT_EQ(f, 0.0);  // the row that sees only itself
      }
    }
    EXPECT_LE(std::sqrt(wrong / size), 0x1p-7) << name_of(isa);
  }
}

TEST(Attention, FarApartScoresStayFinite) {
  AttentionProblem<float> p({2, 2, 8, 0, 8}, {100}, 2);
  for (i64 i = 0; i < p.q.size(); ++i) p.q[i] *= 300.0f;
  for (const Isa isa : fast_isas()) {
    ThreadPool pool(2);
    const Context cx(pool, isa), ref(pool, Isa::ref);
    const auto f = forward(cx, p);
    EXPECT_TRUE(f == forward(ref, p));
    for (i64 i = 0; i < f.out.size(); ++i) ASSERT_TRUE(std::isfinite(f.out[i]));
    const auto b = backward(cx, p, f);
    EXPECT_TRUE(b == backward(ref, p, f));
    for (i64 i = 0; i < b.dq.size(); ++i) ASSERT_TRUE(std::isfinite(b.dq[i]));
  }
}

}  // namespace
}  // namespace hadal::test
